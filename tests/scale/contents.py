"""What a run left in its folder."""


def read_files(folder):
    """Return the bytes of every file of an output folder, but for where its module was."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def list_parts(folder):
    """Return the truth table's finished files."""
    return sorted((folder / "truth.parquet").glob("part-*.parquet"))


def list_partial(folder):
    """Return what was left half-written."""
    return [path for path in folder.rglob("*") if ".partial" in path.name]
