"""A small SSD (arXiv:1512.02325) that finds Fashion-MNIST's clothes, shoes and bags in scenes they are pasted into.

``python -m examples.pasted_detector DIR`` trains it in minutes, writes it as a device runs it, and
measures what it finds.
"""

from .network import ANCHORS, HEIGHT, WIDTH, write_detector
from .scenes import Scene, paste, random_scene, wall

__all__ = ["ANCHORS", "HEIGHT", "WIDTH", "Scene", "paste", "random_scene", "wall", "write_detector"]
