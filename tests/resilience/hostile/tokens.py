"""Bearer tokens that nobody may take, the ones included that are signed with a key that was stolen."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import jwt
import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
USER_TYPE, SERVICE_TYPE = "at+jwt", "service+jwt"


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(token: str, part: int) -> dict[str, Any]:
    text = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Keys:
    """The keys of one stack: what a thief would have who has everything."""

    def __init__(self, stack) -> None:
        self._stack = stack
        with psycopg.connect(stack.dsn("users", "user-service")) as db:
            row = db.execute("SELECT kid, private_sealed FROM signing_keys WHERE signs_from <= now() ORDER BY generation DESC").fetchone()
        self.kid, sealed = row[0], bytes(row[1])
        key = AESGCM(hashlib.sha256(stack.secret("key-encryption-key").encode()).digest())
        self.user_pem = key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], f"signing key {self.kid}".encode())
        self.foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        jwks = json.loads(stack.secret("service-jwks.json"))["keys"]
        self.service_kids = {one["service"]: one["kid"] for one in jwks}

    def public_pem(self) -> bytes:
        public = serialization.load_pem_private_key(self.user_pem, None).public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def user(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(claims, self.user_pem, "RS256", headers={"kid": self.kid, "typ": USER_TYPE} | header)

    def service(self, caller: str, callee: str, key_of: str | None = None, **changes: Any) -> str:
        """What `caller` says to `callee`; with `key_of`, signed by another."""
        now = int(time.time())
        claims = {"iss": caller, "sub": caller, "aud": callee, "iat": now, "exp": now + 600, "jti": str(uuid.uuid4())} | changes
        pem = self._stack.secret(f"{key_of or caller}/service-key.pem")
        return jwt.encode(claims, pem, "RS256", headers={"kid": self.service_kids[key_of or caller], "typ": SERVICE_TYPE})


def hostile_user_tokens(keys: Keys, good: str) -> dict[str, str]:
    """Each is one step away from `good`, a user's token that everybody takes."""
    claims, header = decoded(good, 1), decoded(good, 0)
    head, payload, signature = good.split(".")
    longer = claims | {"exp": claims["exp"] + 86_400}
    admin = encoded(claims | {"roles": ["admin"], "scope": "users:admin orders:read_all"})
    signed_by_nobody = jwt.encode(claims, keys.foreign, "RS256", headers={"kid": keys.kid, "typ": USER_TYPE})
    return {
        "AlgNone": f"{encoded(header | {'alg': 'none'})}.{payload}.",
        "AlgNoneInAnyCase": f"{encoded(header | {'alg': 'nOnE'})}.{payload}.{signature}",
        "HmacWithThePublicKey": hmac_token(header, claims, keys.public_pem()),
        "HmacWithNothing": hmac_token(header, claims, b""),
        "SignedByAnotherKey": signed_by_nobody,
        "KeyInTheHeader": jwt.encode(claims, keys.foreign, "RS256", headers={"typ": USER_TYPE, "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
        "KeyAtAnAddress": keys.user(claims, kid="other", jku="http://127.0.0.1:1/jwks.json"),
        "UnknownKey": keys.user(claims, kid="nobody"),
        "KeyNamedAsAPath": keys.user(claims, kid="../../../../dev/null"),
        "KeyNamedAsSql": keys.user(claims, kid="x' UNION ALL VALUES ('k')--"),
        "KeyOfAService": keys.user(claims, kid=keys.service_kids["order-service"]),
        "OfAnotherType": keys.user(claims, typ="JWT"),
        "PayloadChanged": f"{head}.{encoded(longer)}.{signature}",
        "MadeAdmin": f"{head}.{admin}.{signature}",
        "SignatureCut": f"{head}.{payload}.{signature[:-4]}",
        "SignatureMissing": f"{head}.{payload}",
        "FourParts": f"{good}.{signature}",
        "WrongAudience": keys.user(claims | {"aud": "another-shop"}),
        "TwoAudiences": keys.user(claims | {"aud": ["stoa", "another-shop"]}),
        "WrongIssuer": keys.user(claims | {"iss": "https://evil.test"}),
        "Expired": keys.user(claims | {"exp": int(time.time()) - 3_600}),
        "ExpiresNever": keys.user({name: value for name, value in claims.items() if name != "exp"}),
        "ExpiresBeyondTime": keys.user(claims | {"exp": 2**63 - 1}),
        "WithoutSession": keys.user({name: value for name, value in claims.items() if name != "sid"}),
        "OfNobody": keys.user(claims | {"sub": "' OR '1'='1"}),
        "ServiceClaimsByAUsersKey": keys.user({"iss": "order-service", "sub": "order-service", "aud": "product-service", "exp": claims["exp"]}, typ=SERVICE_TYPE),
        "NotAToken": "null",
        "NulInside": "a\x00b.c.d",
        "DeepPayload": f"{head}.{encoded(b'[' * 3_000)}.{signature}",
    }


def hostile_service_tokens(keys: Keys, caller: str, callee: str) -> dict[str, str]:
    """For an internal endpoint of `callee` that `caller` may ask."""
    now = int(time.time())
    other = next(name for name in keys.service_kids if name not in (caller, callee, "api-gateway"))
    return {
        "ForAnotherService": keys.service(caller, other),
        "InTheNameOfAnother": keys.service(caller, callee, key_of=other),
        "SubjectOfAnother": keys.service(caller, callee, sub=other),
        "ServiceExpired": keys.service(caller, callee, exp=now - 3_600),
        "ServiceAsUser": keys.service(caller, "stoa"),
    }


def hmac_token(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """HS256 with a public key as secret; PyJWT refuses to make such a thing, rightly."""
    text = f"{encoded(header | {'alg': 'HS256'})}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())}"
