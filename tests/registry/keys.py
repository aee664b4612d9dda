"""Keys for tests."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def key_pair(path: Path, curve: ec.EllipticCurve | None = None) -> tuple[Path, Path]:
    """A private and a public key in PEM files, ``path``.key and ``path``.pub."""
    private = ec.generate_private_key(curve or ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    files = path.with_suffix(".key"), path.with_suffix(".pub")
    files[0].write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    files[1].write_bytes(private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return files
