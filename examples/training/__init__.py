"""Distributed training on Fashion-MNIST, with Keras on JAX and with TensorFlow: see README.md."""
