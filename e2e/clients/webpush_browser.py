"""A browser's side of a push, by other people's code: http-ece opens the body (RFC 8188 and 8291), cryptography judges the
server's signature (RFC 8292).

    webpush_browser.py keys           a key pair and a secret, as JSON
    webpush_browser.py open < JSON    {private, auth, body, authorization, key, audience}: what the push says, as JSON
"""

import base64
import json
import os
import sys
import time

import http_ece
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

DAY_S = 86_400


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def data(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def keys():
    private = ec.generate_private_key(ec.SECP256R1())
    point = private.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"private": pem.decode(), "p256dh": text(point), "auth": text(os.urandom(16))}


def claims(header, key, audience):
    """What the token claims, once its signature holds under the key that the browser subscribed with."""
    scheme, _, rest = header.partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    if scheme != "vapid" or fields["k"] != key:
        raise SystemExit(f"not signed by the key that was subscribed with: {scheme} {fields['k']}")
    signed, _, signature = fields["t"].rpartition(".")
    raw = data(signature)
    half = len(raw) // 2
    der = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data(key))
    try:
        public.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise SystemExit("the signature does not hold") from None
    head, body = (json.loads(data(part)) for part in signed.split("."))
    if head.get("alg") != "ES256":
        raise SystemExit(f"signed by {head}")
    if body["aud"] != audience:
        raise SystemExit(f"for {body['aud']}, not {audience}")
    left = body["exp"] - time.time()
    if not 0 < left <= DAY_S:
        raise SystemExit(f"it holds for {left:.0f} s")
    return body


def opened(asked):
    private = serialization.load_pem_private_key(asked["private"].encode(), None)
    try:
        plain = http_ece.decrypt(
            data(asked["body"]), private_key=private, auth_secret=data(asked["auth"]), version="aes128gcm"
        )
    except (http_ece.ECEException, InvalidTag) as error:
        raise SystemExit(f"it cannot be opened: {error!r}") from None
    return {"said": json.loads(plain), "claims": claims(asked["authorization"], asked["key"], asked["audience"])}


if __name__ == "__main__":
    answer = keys() if sys.argv[1] == "keys" else opened(json.load(sys.stdin))
    print(json.dumps(answer))
