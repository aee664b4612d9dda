"""The hosts that a certificate is for: by these the proxy is asked from other machines."""

from pathlib import Path

from cryptography import x509

from .proxy_settings import ProxySettingsError


def certificate_names(path: Path) -> tuple[str, ...]:
    """Names in lower case and addresses as in URLs, without wildcards. Raises ProxySettingsError."""
    try:
        extensions = x509.load_pem_x509_certificate(path.read_bytes()).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (OSError, ValueError) as error:
        raise ProxySettingsError(f"{path}: no certificate in PEM ({error})") from None
    hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName) if "*" not in name]
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*hosts, *(f"[{each}]" if each.version == 6 else str(each) for each in addresses))
