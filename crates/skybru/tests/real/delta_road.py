"""The Delta Sharing client against the lab's issuer and a sharing server that believes nobody but that issuer."""

import json
import os
import sys
import threading
import time
import urllib.request
import ssl
from http.server import BaseHTTPRequestHandler, HTTPServer

import delta_sharing
from jwcrypto import jwk, jwt

issuer, audience, scope = os.environ["ISSUER"], os.environ["AUDIENCE"], os.environ["SCOPE"]
context = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
discovery = json.load(urllib.request.urlopen(issuer.rstrip("/") + "/.well-known/openid-configuration", context=context))
keys = jwk.JWKSet.from_json(urllib.request.urlopen(discovery["jwks_uri"], context=context).read())
seen = []


class Sharing(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims = json.loads(jwt.JWT(jwt=bearer, key=keys, algs=["RS256"]).claims)
            assert claims["iss"] == issuer and claims["aud"] == audience and scope in claims["scope"].split()
            assert claims["exp"] > time.time()
        except Exception as error:
            return self.answer(401, {"errorCode": "UNAUTHENTICATED", "message": str(error)})
        seen.append(claims)
        path = self.path.split("?")[0]
        if path == "/delta-sharing/shares":
            return self.answer(200, {"items": [{"name": "timetables", "id": "1"}]})
        if path == "/delta-sharing/shares/timetables/all-tables":
            return self.answer(200, {"items": [{"name": "lines", "schema": "2026", "share": "timetables", "id": "2"}]})
        self.answer(404, {"errorCode": "RESOURCE_DOES_NOT_EXIST", "message": path})


server = HTTPServer(("127.0.0.1", 0), Sharing)
threading.Thread(target=server.serve_forever, daemon=True).start()
profile = json.loads(sys.stdin.read())
profile["endpoint"] = f"http://127.0.0.1:{server.server_port}/delta-sharing"
path = os.path.join(os.environ["HOME"], "profile.share")
with open(path, "w") as file:
    json.dump(profile, file)

client = delta_sharing.SharingClient(path)
assert [share.name for share in client.list_shares()] == ["timetables"]
print("the profile gets a token that the sharing server believes")
tables = client.list_all_tables()
assert [(table.schema, table.name) for table in tables] == [("2026", "lines")]
print("tables are listed")
assert seen[0]["consumer"]["ID"] == os.environ["CONSUMER"] and len(seen) >= 2
print("the token says which organisation asks")
profile["auth"]["scope"] = "somebody:else"
with open(path, "w") as file:
    json.dump(profile, file)
try:
    delta_sharing.SharingClient(path).list_shares()
    sys.exit("a scope that was not granted opened the share")
except Exception:
    print("a scope that was not granted opens nothing")

profile = {
    "shareCredentialsVersion": 2,
    "type": "oauth_client_credentials",
    "endpoint": profile["endpoint"],
    "tokenEndpoint": os.environ["LOCAL_TOKEN_ENDPOINT"],
    "clientId": "delta",
    "clientSecret": os.environ["LOCAL_SECRET"],
    "scope": scope,
}
with open(path, "w") as file:
    json.dump(profile, file)
assert [share.name for share in delta_sharing.SharingClient(path).list_shares()] == ["timetables"]
assert seen[-1]["consumer"]["ID"] == os.environ["CONSUMER"]
print("with an id and a secret of this machine the agent gets the same token")
profile["clientSecret"] = "another secret altogether"
with open(path, "w") as file:
    json.dump(profile, file)
try:
    delta_sharing.SharingClient(path).list_shares()
    sys.exit("a wrong secret opened the share")
except Exception as error:
    assert "401" in str(error), error
    print("a wrong secret opens nothing")
