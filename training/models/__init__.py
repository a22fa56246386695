"""Network architectures: PSF-aware auto-encoder and conditional flow, in Keras 3 on TensorFlow."""
