"""google-auth, google-cloud-storage and google-cloud-bigquery, unmodified, against the lab.

Every line printed is one thing proven. What the libraries raise must carry Google's own words, unchanged.
"""

import http.server
import json
import os
import pathlib
import stat
import sys
import tempfile
import threading
import urllib.request

import google.auth.exceptions
import google.oauth2.credentials
from google.api_core.exceptions import BadRequest, Forbidden
from google.auth import identity_pool, pluggable
from google.cloud import bigquery, storage

LAB = json.loads(os.environ["LAB"])
TOKENS = json.loads(os.environ["TOKENS"])
GOOGLE = LAB["clouds"]["google"]
ENDPOINT = GOOGLE["endpoint"]
POOL = f"projects/{GOOGLE['project_number']}/locations/global/workloadIdentityPools/skyporten"
AUDIENCE = f"//iam.googleapis.com/{POOL}/providers/skyporten"
ACCOUNT = f"timetable-reader@{GOOGLE['project']}.iam.gserviceaccount.com"
MEMBER = f"principalSet://iam.googleapis.com/{POOL}/attribute.clientaccess/client::{LAB['demo']['consumer_org']}::{LAB['demo']['scope']}"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
TIMETABLE = "stop,departure\nBergen,07:10\nVoss,08:35\n"
FOLDER = pathlib.Path(tempfile.mkdtemp())


def owner(method, path, body):
    """A call by the owner of the project."""
    headers = {"Authorization": f"Bearer {GOOGLE['access_token']}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{ENDPOINT}/{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def account_file(source, impersonate=True, audience=AUDIENCE):
    """An external_account file, as `gcloud iam workload-identity-pools create-cred-config` writes it."""
    info = {
        "universe_domain": "googleapis.com", "type": "external_account", "audience": audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": f"{ENDPOINT}/v1/token",
        "credential_source": source,
    }
    if impersonate:
        info["service_account_impersonation_url"] = (
            f"{ENDPOINT}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
        )
    else:
        info["token_info_url"] = f"{ENDPOINT}/v1/introspect"
    return info


def from_file(token, **more):
    path = FOLDER / "token"
    path.write_text(token)
    return identity_pool.Credentials.from_info(account_file({"file": str(path)}, **more), scopes=SCOPES)


def bucket(credentials):
    os.environ["STORAGE_EMULATOR_HOST"] = ENDPOINT
    return storage.Client(project=GOOGLE["project"], credentials=credentials).bucket("fjordbuss-data")


def read(credentials, name="timetables/line-1.csv"):
    return bucket(credentials).blob(name).download_as_text()


def proven(what):
    print(what, flush=True)


def refused(what, words, kind, call):
    try:
        call()
    except kind as error:
        said = " ".join([str(error), *map(str, error.args)])
        if words not in said:
            sys.exit(f"{what}: the library says {said}, without the words {words!r}")
        proven(f"refused: {what}")
    else:
        sys.exit(f"{what} was let through")


# The sources of a token.
assert read(from_file(TOKENS["good"])) == TIMETABLE
proven("file source, impersonation")

answer = FOLDER / "answer.json"
answer.write_text(json.dumps({"access_token": TOKENS["good"], "token_type": "Bearer"}))
source = {"file": str(answer), "format": {"type": "json", "subject_token_field_name": "access_token"}}
assert read(identity_pool.Credentials.from_info(account_file(source), scopes=SCOPES)) == TIMETABLE
proven("file source, the issuer's whole answer as JSON")


class Tokens(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers["X-Key"] == "k" else 403)
        self.end_headers()
        self.wfile.write(TOKENS["good"].encode())

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Tokens)
threading.Thread(target=server.serve_forever, daemon=True).start()
source = {"url": f"http://127.0.0.1:{server.server_port}/token", "headers": {"X-Key": "k"}, "format": {"type": "text"}}
assert read(identity_pool.Credentials.from_info(account_file(source), scopes=SCOPES)) == TIMETABLE
proven("URL source")

script = FOLDER / "token.sh"
said = {"version": 1, "success": True, "token_type": "urn:ietf:params:oauth:token-type:id_token", "id_token": TOKENS["good"]}
script.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(said)}\nEND\n")
script.chmod(script.stat().st_mode | stat.S_IXUSR)
source = {"executable": {"command": str(script), "timeout_millis": 10000}}
os.environ.pop("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", None)
refused(
    "an executable that was not allowed", "Executables need to be explicitly allowed", ValueError,
    lambda: read(pluggable.Credentials.from_info(account_file(source), scopes=SCOPES)),
)
os.environ["GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"] = "1"
assert read(pluggable.Credentials.from_info(account_file(source), scopes=SCOPES)) == TIMETABLE
proven("executable source")

# Lists, long objects, uploads by those who may.
names = [blob.name for blob in bucket(from_file(TOKENS["good"])).list_blobs(prefix="timetables/")]
assert names == ["timetables/line-1.csv"], names
proven("list")
owners = storage.Client(project=GOOGLE["project"], credentials=google.oauth2.credentials.Credentials(GOOGLE["access_token"]))
large = owners.bucket("fjordbuss-data").blob("timetables/large.bin", chunk_size=256 * 1024)
content = os.urandom(700_000)
large.upload_from_string(content, checksum="md5")
small = owners.bucket("fjordbuss-data").blob("timetables/small.txt")
small.upload_from_string("small", content_type="text/plain", checksum="crc32c")
assert bucket(from_file(TOKENS["good"])).blob("timetables/large.bin").download_as_bytes(checksum="crc32c") == content
assert read(from_file(TOKENS["good"]), "timetables/small.txt") == "small"
proven("resumable and multipart upload by the owner, checked download by the consumer")

# Without impersonation: the federated identity itself.
direct = lambda: from_file(TOKENS["good"], impersonate=False)
refused(
    "the federated identity before it is bound", "Caller does not have storage.objects.get access to the Google Cloud Storage object.",
    Forbidden, lambda: read(direct()),
)
policy = owner("GET", "storage/v1/b/fjordbuss-data/iam", None)
policy["bindings"].append({"role": "roles/storage.objectViewer", "members": [MEMBER]})
owner("PUT", "storage/v1/b/fjordbuss-data/iam", policy)
assert read(direct()) == TIMETABLE
proven("no impersonation")

# BigQuery.
tables = bigquery.Client(project=GOOGLE["project"], credentials=direct(), client_options={"api_endpoint": ENDPOINT})
rows = [tuple(row) for row in tables.list_rows("timetables.line_1")]
assert rows == [("Bergen", "07:10"), ("Voss", "08:35")], rows
proven("BigQuery: rows of a table")
rows = [tuple(row) for row in tables.query("SELECT * FROM timetables.line_1 LIMIT 1").result()]
assert rows == [("Bergen", "07:10")], rows
proven("BigQuery: a query")
wanted = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("after", "STRING", "08:00")])
rows = [tuple(row) for row in tables.query("SELECT stop FROM timetables.line_1 WHERE departure > @after ORDER BY stop", job_config=wanted)]
assert rows == [("Voss",)], rows
assert [row.n for row in tables.query("SELECT COUNT(*) AS n FROM timetables.line_1")] == [2]
proven("BigQuery: a condition, a parameter, an order and a count")
grouped = "SELECT stop, COUNT(*) FROM timetables.line_1 GROUP BY stop"
refused("a query that is not understood", "Unsupported: GROUP BY", BadRequest, lambda: tables.query(grouped).result())
others = bigquery.Client(
    project=GOOGLE["project"], credentials=from_file(TOKENS["other"], impersonate=False), client_options={"api_endpoint": ENDPOINT}
)
refused(
    "a table, for another organisation", "Permission bigquery.tables.get denied on table skybru-lab:timetables.line_1 (or it may not exist).",
    Forbidden, lambda: list(others.list_rows("timetables.line_1")),
)

# Refusals in Google's own words.
Refresh = google.auth.exceptions.RefreshError
OAuth = google.auth.exceptions.OAuthError
denied = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
refused("another organisation", denied, Refresh, lambda: read(from_file(TOKENS["other"])))
refused("two scopes", denied, Refresh, lambda: read(from_file(TOKENS["two_scopes"])))
refused(
    "another audience", "The audience in ID Token [https://somebody.else.example] does not match the expected audience.",
    OAuth, lambda: read(from_file(TOKENS["wrong_audience"])),
)
refused("an old token", "is stale to sign-in.", OAuth, lambda: read(from_file(TOKENS["expired"])))
refused("a key that is not published", "Error connecting to the given credential's issuer.", OAuth, lambda: read(from_file(TOKENS["unknown_key"])))
refused(
    "the project's id instead of its number", "The target service indicated by the \"audience\" parameters is invalid.",
    OAuth, lambda: read(from_file(TOKENS["good"], audience=AUDIENCE.replace(GOOGLE["project_number"], GOOGLE["project"]))),
)
refused(
    "a file outside what is shared", f"{ACCOUNT} does not have storage.objects.get access to the Google Cloud Storage object.",
    Forbidden, lambda: read(from_file(TOKENS["good"]), "payroll/2026.csv"),
)
provider = f"v1/{POOL}/providers/skyporten"
owner("PATCH", f"{provider}?updateMask=attributeCondition", {"attributeCondition": "assertion.scope == 'x:y'"})
refused(
    "a condition that is false", "The given credential is rejected by the attribute condition.", OAuth,
    lambda: read(from_file(TOKENS["good"])),
)
owner("PATCH", f"{provider}?updateMask=attributeCondition", {})
owner("PATCH", f"{provider}?updateMask=disabled", {"disabled": True})
refused("a disabled provider", "The target service indicated by the \"audience\" parameters is invalid.", OAuth, lambda: read(from_file(TOKENS["good"])))
owner("PATCH", f"{provider}?updateMask=disabled", {"disabled": False})
