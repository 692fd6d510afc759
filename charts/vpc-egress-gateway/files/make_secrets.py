"""Makes what is missing in the Secrets veg-bus and veg-postgres, and changes nothing that is there: a Job of the chart.

`make_secrets.py NAMESPACE NAME…`: as the ServiceAccount whose token is mounted. Runs with nothing but Python, and with
`vegctl keys` for the two key pairs that NATS and bus-auth share. Nothing secret is printed.
"""

import base64
import json
import os
import secrets
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path(os.environ.get("SERVICE_ACCOUNT_DIRECTORY", "/var/run/secrets/kubernetes.io/serviceaccount"))
USERS = ("watcher", "planner", "ovn-writer", "kube-writer", "reader", "bus-auth")
ROLES = ("superuser", "owner", "planner", "reader")
KEYS = ("issuer-seed", "issuer", "xkey-seed", "xkey")
NOT_FOUND = 404


def bus(have: dict[str, str]) -> dict[str, str]:
    """Passwords and seeds, and `secrets.conf`: the variables of NATS' configuration."""
    made = {user: have.get(user) or secrets.token_hex(24) for user in USERS}
    made |= {key: have[key] for key in KEYS} if all(key in have for key in KEYS) else key_pairs()
    lines = [f'{user.upper().replace("-", "_")}_PASSWORD: "{made[user]}"' for user in USERS]
    lines += [f'AUTH_ISSUER: "{made["issuer"]}"', f'AUTH_XKEY: "{made["xkey"]}"']
    return made | {"secrets.conf": "\n".join(lines) + "\n"}


def key_pairs() -> dict[str, str]:
    """An account's key pair and a curve key pair, as NATS writes them: seeds, and public keys."""
    text = subprocess.run(["vegctl", "keys"], check=True, capture_output=True, text=True).stdout
    return dict(line.split(": ", 1) for line in text.splitlines())


def postgres(have: dict[str, str]) -> dict[str, str]:
    """Passwords, and URLs without a host: libpq has the address and the certificate's name from its variables."""
    made = {role: have.get(role) or secrets.token_hex(24) for role in ROLES}
    urls = {f"{role}-url": f"postgresql+psycopg://veg_{role}:{made[role]}@/veg" for role in ROLES[1:]}
    return made | urls


def request(method: str, path: str, body: object = None) -> dict[str, object] | None:
    """One request to the API server; None: not found."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}{path}"
    headers = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text().strip()}"}
    headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers=headers)
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(asked, timeout=30) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        if error.code == NOT_FOUND and method == "GET":
            return None
        sys.exit(f"make_secrets: {method} {path}: {error.code}: {json.load(error).get('message')}")


def ensure(namespace: str, name: str) -> str:
    """Have the Secret whole; says what was done."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    there = request("GET", f"{path}/{name}")
    data = (there or {}).get("data") or {}
    assert isinstance(data, dict)  # noqa: S101
    have = {key: base64.b64decode(value).decode() for key, value in data.items()}
    wanted = {"veg-bus": bus, "veg-postgres": postgres}[name](have)
    missing = {key: value for key, value in wanted.items() if have.get(key) != value}
    if there is None:
        metadata = {"name": name, "labels": {"app.kubernetes.io/part-of": "vpc-egress-gateway"}}
        request("POST", path, {"metadata": metadata, "type": "Opaque", "stringData": missing})
    elif missing:
        request("PATCH", f"{path}/{name}", {"stringData": missing})
    return f"{namespace}/{name}: {'made ' + ', '.join(sorted(missing)) if missing else 'nothing was missing'}"


if __name__ == "__main__":
    for secret in sys.argv[2:]:
        print(ensure(sys.argv[1], secret))  # noqa: T201
