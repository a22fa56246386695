// The gallery and the copy buttons. No framework, no request but for the pictures beside the page.
"use strict";

function showGallery(root) {
  const gallery = JSON.parse(root.querySelector("[data-description]").textContent);
  const sky = root.querySelector(".sky");
  const sliders = [...root.querySelectorAll("input[type=range]")];
  const code = root.querySelector("[data-code]");
  const label = sky.getAttribute("aria-label");
  const counts = gallery.axes.map((axis) => axis.values.length);
  const columns = counts[0];
  const rows = counts.slice(1).reduce((product, count) => product * count, 1);
  let seedIndex = 0;

  const percent = (index, count) => (count > 1 ? (100 * index) / (count - 1) : 0);
  const chosenView = () => gallery.views[Number(root.querySelector("[name=view]:checked")?.value ?? 0)];

  function show() {
    const places = sliders.map((slider) => Number(slider.value));
    const values = gallery.axes.map((axis, i) => axis.values[places[i]]);
    // The first condition runs along a row of the sheet, the others count the rows.
    const row = places.slice(1).reduceRight((sum, place, i) => sum * counts[i + 1] + place, 0);
    const view = chosenView();
    sky.style.backgroundImage = `url("${view.sheets[seedIndex]}")`;
    sky.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
    sky.style.backgroundPosition = `${percent(places[0], columns)}% ${percent(row, rows)}%`;
    const words = gallery.axes.map((axis, i) => `${axis.name} ${values[i]} ${axis.unit}`.trim());
    gallery.axes.forEach((axis, i) => {
      root.querySelector(`output[for=${sliders[i].id}]`).textContent = `${values[i]} ${axis.unit}`.trim();
      sliders[i].setAttribute("aria-valuetext", words[i]);
    });
    const seed = gallery.seeds[seedIndex];
    sky.setAttribute("aria-label", `${label}: ${words.join(", ")}, seed ${seed}. ${view.label}.`);
    const fixed = Object.entries(gallery.fixed);
    const given = [...gallery.axes.map((axis, i) => [axis.name, values[i]]), ...fixed, ["seed", seed]];
    code.textContent = [
      "import galsim_hub",
      "",
      `model = galsim_hub.GenerativeGalaxyModel("${gallery.address}"${gallery.band ? `, band="${gallery.band}"` : ""})`,
      "galaxy = galsim_hub.GenerativeGalaxy(",
      `    model, ${given.map(([name, value]) => `${name}=${value}`).join(", ")}`,
      ")",
    ].join("\n");
  }

  root.querySelector("form").addEventListener("input", show);
  root.querySelector("[data-another]")?.addEventListener("click", () => {
    seedIndex = (seedIndex + 1) % gallery.seeds.length;
    show();
  });
  show();
  // Fetched while nobody waits, so that no slider has to.
  window.addEventListener("load", () => {
    for (const name of gallery.views.flatMap((view) => view.sheets)) new Image().src = name;
  });
}

function copyFrom(button) {
  const text = button.parentElement.querySelector("code").textContent;
  const done = () => {
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  const byHand = () => {
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    button.textContent = "Selected";
  };
  // Not every browser lets a page that was opened as a file write to the clipboard.
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand);
  else byHand();
}

document.querySelectorAll("[data-gallery]").forEach(showGallery);
document.querySelectorAll("[data-copy]").forEach((button) => {
  button.addEventListener("click", () => copyFrom(button));
});
