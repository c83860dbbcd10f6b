"""Certificates made with openssl, as docs/security.md tells users to make them."""

import base64
import json
import subprocess
import time


def _openssl(*arguments, stdin=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Authority:
    """A certificate authority in a directory of its own."""

    def __init__(self, directory, name="Test CA"):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.key, self.certificate = directory / "ca.key", directory / "ca.crt"
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                 "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, subject, hosts=("DNS:localhost", "IP:127.0.0.1"), days=30):
        """A key and a certificate signed by this authority, together in `name.pem`."""
        key, request, certificate = (self.directory / f"{name}.{end}" for end in ("key", "csr", "crt"))
        extensions = self.directory / f"{name}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\nsubjectAltName=" + ",".join(hosts) + "\n")
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-utf8", "-subj", subject, "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                 "-days", str(days), "-extfile", extensions, "-out", certificate)
        both = self.directory / f"{name}.pem"
        both.write_text(key.read_text() + certificate.read_text() + self.certificate.read_text())
        return both

    def pkcs12(self, name, password):
        """The same key and certificate as a PKCS#12 key store."""
        store = self.directory / f"{name}.p12"
        _openssl("pkcs12", "-export", "-in", self.directory / f"{name}.crt", "-inkey", self.directory / f"{name}.key",
                 "-certfile", self.certificate, "-name", name, "-passout", f"pass:{password}", "-out", store)
        return store


def _base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class IdentityProvider:
    """Signs tokens (RS256), and publishes its key as a JSON web key set in a file."""

    def __init__(self, directory, key_id="k1"):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.key_id = directory, key_id
        self.key = directory / f"{key_id}.key"
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key)

    def publish(self, path):
        modulus = _openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=")[1]
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id, "e": "AQAB",
               "n": _base64url(bytes.fromhex(modulus))}
        path.write_text(json.dumps({"keys": [key]}))
        return path

    def token(self, subject, lifetime=300, **claims):
        now = int(time.time())
        header = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        payload = {"sub": subject, "iss": "test-idp", "aud": "kafka", "iat": now, "exp": now + lifetime, **claims}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, payload))
        signature = _openssl("dgst", "-sha256", "-sign", self.key, stdin=signed.encode())
        return f"{signed}.{_base64url(signature)}"


def unsecured_token(subject, lifetime=300, **claims):
    now = int(time.time())
    payload = {"sub": subject, "iat": now, "exp": now + lifetime, **claims}
    return ".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": "none"}, payload)) + "."
