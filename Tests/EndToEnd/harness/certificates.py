"""An authority of the test's own and certificates that it signs, made by openssl in the test's folder."""
import ssl
import subprocess
from pathlib import Path


class Authority:
    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "ca.pem"
        self._openssl("ca", "/CN=Test authority")

    def _openssl(self, name: str, subject: str, *more: str) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", subject, *more],
            cwd=self.folder, check=True, capture_output=True)

    def make(self, name: str, *hosts: str) -> dict:
        """A certificate for these hosts and addresses, as the configuration wants it."""
        alternatives = ",".join(("IP:" if h.replace(".", "").isdigit() or ":" in h else "DNS:") + h for h in hosts)
        self._openssl(name, f"/CN={name}", "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", f"subjectAltName={alternatives}",
                      "-addext", "basicConstraints=critical,CA:FALSE")
        return {"certificate": str(self.folder / f"{name}.pem"), "key": str(self.folder / f"{name}.key")}

    def client(self, own: dict | None = None, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """For a phone that trusts this authority and nobody else."""
        context = ssl.create_default_context(cafile=str(self.file))
        if own:
            context.load_cert_chain(own["certificate"], own["key"])
        if newest:
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
        return context

    def server(self, own: dict) -> ssl.SSLContext:
        """For a carrier that listens."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own["certificate"], own["key"])
        return context
