"""What PyJWT says of each token that tokens.mjs wrote.

    python oracle.py DIR

Reads DIR/keys.json and DIR/tokens.jsonl; prints for each line, in order, one line of
JSON: {"ok": true, "why": ""} or {"ok": false, "why": "short reason"}.
"""

import json
import sys
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.utils import base64url_decode


def load(key):
    if "secret" in key:
        return base64url_decode(key["secret"])
    return load_pem_public_key(key["pem"].encode())


def verdict(line, key, run):
    try:
        jwt.decode(
            line["token"],
            key,
            algorithms=[line["alg"]],
            issuer=run["issuer"],
            audience=run["audience"],
            leeway=run["leeway"],
            options={"require": ["exp", "iss", "aud"]},
        )
    # Some malformed tokens raise what is no jwt.InvalidTokenError, and are refused as well.
    except Exception as error:
        return {"ok": False, "why": f"{type(error).__name__}: {error}"[:100]}
    return {"ok": True, "why": ""}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python oracle.py DIR")
    directory = Path(sys.argv[1])
    run = json.loads((directory / "keys.json").read_text("utf-8"))
    keys = {name: load(key) for name, key in run["keys"].items()}
    with (directory / "tokens.jsonl").open(encoding="utf-8") as lines:
        for text in lines:
            line = json.loads(text)
            print(json.dumps(verdict(line, keys[line["key"]], run)))


if __name__ == "__main__":
    main()
