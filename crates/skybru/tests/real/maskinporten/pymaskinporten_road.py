"""The client pymaskinporten. Prints a line for each thing proven; stops at the first that is not so."""

import json
import os

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pymaskinporten.client import MaskinportenClient
from pymaskinporten.config import MaskinportenSecrets
from pymaskinporten.request_token import MaskinportenTokenError

ENV = os.environ
with open(ENV["CLIENT_JWK"]) as file:
    JWK = json.load(file)
KEY = jwt.algorithms.RSAAlgorithm.from_jwk(JWK)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def client(**changes):
    config = {"PRIVATE_KEY": PEM, "MASKINPORTEN_CLIENT_ID": ENV["CLIENT_ID"], "KID": JWK["kid"], "SCOPE": ENV["SCOPE"], **changes}
    issuer = ENV["MASKINPORTEN"]
    return MaskinportenClient(MaskinportenSecrets(**config), token_url=issuer + "token", audience=issuer)


def refused(code, word, **changes):
    try:
        client(**changes).get_token()
    except MaskinportenTokenError as error:
        assert (error.status, error.code) == (400, code) and word in error.description, error
        print("refused:", code)
    else:
        raise AssertionError(f"{code} was expected")


reader = client()
token = reader.get_token()
assert jwt.decode(token, options={"verify_signature": False})["scope"] == ENV["SCOPE"]
print("a token")
assert reader.get_token() == token
print("kept until it is nearly over")
reader.clear_cache()
assert reader.get_token() != token
print("a new one")
refused("invalid_scope", "no:such.scope", SCOPE="no:such.scope")
refused("invalid_grant", "kid", KID="another")
