"""Authlib, PyJWT and joserfc against the issuer. Prints a line for each thing proven; stops at the first that is not so."""

import json
import os
import ssl
import uuid

import jwt
import requests
from authlib.integrations.requests_client import AssertionSession
from authlib.oauth2 import OAuth2Error
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

ENV = os.environ
with open(ENV["CLIENT_JWK"]) as file:
    JWK = json.load(file)
METADATA = requests.get(ENV["SKYPORTEN"] + "/.well-known/openid-configuration", timeout=30).json()


def session(**changes):
    claims = {"scope": ENV["SCOPE"], "resource": ENV["RESOURCE"], "jti": str(uuid.uuid4()), **changes}
    return AssertionSession(
        token_endpoint=METADATA["token_endpoint"],
        issuer=ENV["CLIENT_ID"],
        subject=ENV["CLIENT_ID"],
        audience=METADATA["issuer"],
        grant_type=AssertionSession.JWT_BEARER_GRANT_TYPE,
        claims=claims,
        key=JWK,
        header={"alg": "RS256", "kid": JWK["kid"]},
        expires_in=100,
    )


answer = session().refresh_token()
assert answer["token_type"] == "Bearer" and answer["scope"] == ENV["SCOPE"], answer
print("Authlib gets a token")

keys = jwt.PyJWKClient(METADATA["jwks_uri"], ssl_context=ssl.create_default_context(cafile=ENV["CA_FILE"]))
claims = jwt.decode(
    answer["access_token"],
    keys.get_signing_key_from_jwt(answer["access_token"]).key,
    algorithms=["RS256"],
    audience=ENV["RESOURCE"],
    issuer=METADATA["issuer"],
    options={"require": ["exp", "iat", "iss", "sub", "aud", "jti"], "strict_aud": True},
)
assert claims["sub"] == ENV["SUBJECT"], claims
print("PyJWT verifies it by the key set")

key_set = KeySet.import_key_set(requests.get(METADATA["jwks_uri"], timeout=30).json())
decoded = joserfc_jwt.decode(answer["access_token"], key_set, algorithms=["RS256"])
assert decoded.header["typ"] == "JWT" and decoded.claims == claims, decoded
print("joserfc reads the same")

for changes, error in [({"scope": "nobody:has.it"}, "invalid_scope"), ({"resource": ["a"] * 50}, "invalid_request")]:
    try:
        session(**changes).refresh_token()
    except OAuth2Error as refusal:
        assert refusal.error == error and refusal.description, refusal
        print("Authlib understands", error)
    else:
        raise AssertionError(f"{changes} was not refused")
