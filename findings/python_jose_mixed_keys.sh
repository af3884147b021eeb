#!/usr/bin/env bash
# python-jose 3.5.0: a JWK set with keys of two types verifies a token or does not, by the order of
# its keys.
#
# A set may hold keys of several types; `kid` says which one signed (RFC 7517, 4.1, 4.5 and 5). A
# server that changes from one algorithm to another publishes both keys for a while. `jwt.decode`
# does not look at the `kid`: it takes one key after the other, and the first that is not for the
# algorithm of the token ends it with an error, though the right one comes next. PyJWT 2.15.1 and
# joserfc 1.8.0 find it in either order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  'python-jose[cryptography]==3.5.0' 'PyJWT[crypto]==2.15.1' joserfc==1.8.0
cat >"$folder/one.py" <<'EOF'
from jose import jwt as python_jose
from joserfc import jwt as joserfc
from joserfc.jwk import ECKey, KeySet, OKPKey
from jwt import PyJWKSet
from jwt import decode as pyjwt

signing = ECKey.generate_key("P-256", {"kid": "signing", "alg": "ES256", "use": "sig"})
next_one = OKPKey.generate_key("Ed25519", {"kid": "next", "alg": "EdDSA", "use": "sig"})
token = joserfc.encode({"alg": "ES256", "kid": "signing"}, {"sub": "alice"}, signing)


def by_python_jose(keys):
    return python_jose.decode(token, keys, algorithms=["ES256"])


def by_pyjwt(keys):
    return pyjwt(token, PyJWKSet.from_dict(keys)["signing"].key, algorithms=["ES256"])


def by_joserfc(keys):
    return joserfc.decode(token, KeySet.import_key_set(keys), algorithms=["ES256"]).claims


for order in ([signing, next_one], [next_one, signing]):
    keys = {"keys": [key.as_dict(private=False) for key in order]}
    print(*[key.kid for key in order], sep=", ")
    for verify in (by_python_jose, by_pyjwt, by_joserfc):
        try:
            outcome = verify(keys)["sub"]
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        print(f"  {verify.__name__}: {outcome}")
EOF
seen=$("$folder/venv/bin/python" "$folder/one.py" 2>/dev/null)
echo "a token that the key \"signing\" signed, verified with a set of two keys"
echo "$seen"
expected="signing, next
  by_python_jose: alice
  by_pyjwt: alice
  by_joserfc: alice
next, signing
  by_python_jose: JWKError: Incorrect key type. Expected: 'EC', Received: OKP
  by_pyjwt: alice
  by_joserfc: alice"
[ "$seen" = "$expected" ] || { echo "this is no longer so" >&2; exit 1; }
