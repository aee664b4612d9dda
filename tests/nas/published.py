"""A network that was published."""

from lykeion.nas import Genotype, parse_genotype

PUBLISHED_SINGLE_PATH: Genotype = parse_genotype(
    "k3e3-k3e3-k3e3-skip-k5e6-k3e3-k3e3-k3e3-k5e6-k3e3-k3e3-k3e3-k5e6-k5e3-k5e3-k5e3-k5e6-k5e6-k5e6-k5e6"
)
"""The network that Single-Path NAS found for a Pixel 1 (arXiv:1904.02877): 74.96 % top-1 on ImageNet, 79.48 ms."""
