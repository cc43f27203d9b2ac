"""Unmodified SDKs of three clouds and the aws CLI, through the agent and under exec, for longer than two lives of their credentials.

Meanwhile the lab, and the issuer with it, is restarted, then stopped for a while so that it swallows every question, then away so that
every connection is refused. Any error at a user's end fails the run, and so does an agent that keeps anybody waiting for credentials.

Arguments: the program, a folder, the first of the lab's ports, how long credentials live (seconds), how long it is silent and how long
away (seconds), and "outer", or which user to be.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request

PROGRAM, FOLDER, PORT, LIFE, SILENT, AWAY, ROLE = sys.argv[1:8]
LIFE, SILENT, AWAY = int(LIFE), int(SILENT), int(AWAY)
UNTIL = 2 * LIFE + 15
BUCKET, KEY = "fjordbuss-data", "timetables/line-1.csv"
TIMETABLE = b"stop,departure\nBergen,07:10\nVoss,08:35\n"
# An SDK of AWS's waits this long for an agent, at the least.
PATIENCE = 2


def boto3():
    from boto3 import Session
    from botocore.config import Config

    session = Session()
    client = session.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 12}))
    return (
        lambda: client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read(),
        lambda: session.get_credentials().get_frozen_credentials().access_key,
    )


def google():
    import google.auth
    from google.cloud import storage

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    bucket = storage.Client(project="p", credentials=credentials).bucket(BUCKET)
    # A blob remembers its generation, and the lab writes the file anew when it starts.
    return lambda: bucket.blob(KEY).download_as_bytes(), lambda: credentials.token


def azure():
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import BlobServiceClient

    credential = DefaultAzureCredential()
    account = os.environ["BLOB_ACCOUNT"]
    # As often as it takes: what the data's own servers are away is not the agent's business.
    patient = {"initial_backoff": 1, "increment_base": 1} | {"retry_" + kind: 40 for kind in ["total", "connect", "read", "status"]}
    blob = BlobServiceClient(account, credential=credential, **patient).get_blob_client(BUCKET, KEY)
    return (
        lambda: blob.download_blob().readall(),
        lambda: credential.get_token("https://storage.azure.com/.default").token,
    )


def cli():
    def read():
        command = ["aws", "s3", "cp", f"s3://{BUCKET}/{KEY}", "-"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout

    # Every run asks for credentials anew.
    return read, lambda: time.monotonic()


def use(read, credential):
    """Reads every second with one client, as a service does; prints how often, and with how many different credentials."""
    begun, count, credentials = time.monotonic(), 0, set()
    while time.monotonic() - begun < UNTIL:
        body = read()
        assert body == TIMETABLE, body
        credentials.add(credential())
        count += 1
        time.sleep(1)
    print(json.dumps([count, len(credentials)]))


class Lab:
    def __init__(self):
        self.start()

    def start(self):
        command = [PROGRAM, "up", "--json", "--data", FOLDER + "/lab", "--port-base", PORT, "--credential-seconds", str(LIFE)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.info = json_from(self.process)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def trouble(self):
        """What happens while the users read on."""
        time.sleep(LIFE / 3)
        self.kill()
        self.start()
        time.sleep(LIFE / 3)
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(SILENT)
        self.process.send_signal(signal.SIGCONT)
        time.sleep(LIFE / 3)
        self.kill()
        time.sleep(AWAY)
        self.start()


def json_from(process):
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            return json.loads(text)
    raise SystemExit("no JSON: " + text)


class Watch(threading.Thread):
    """Asks the agent for credentials of each cloud twice a second; each answer must come at once and be good."""

    def __init__(self, address, authorization):
        super().__init__(daemon=True)
        metadata = address + "/computeMetadata/v1/instance/service-accounts/default/token"
        identity = address + "/azure/demo-azure/msi?api-version=2019-08-01&resource=https://storage.azure.com/"
        self.questions = {
            address + "/aws/demo": ({"Authorization": authorization}, lambda a: a["AccessKeyId"]),
            metadata: ({"Metadata-Flavor": "Google"}, lambda a: a["expires_in"] > 0 and a["access_token"]),
            identity: ({"X-IDENTITY-HEADER": authorization}, lambda a: int(a["expires_on"]) > time.time() and a["access_token"]),
        }
        self.slowest, self.asked, self.failed, self.ended = 0.0, 0, [], threading.Event()

    def run(self):
        while not self.ended.wait(0.5):
            for url, (headers, good) in self.questions.items():
                begun = time.monotonic()
                try:
                    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE) as answer:
                        assert good(json.load(answer)), url
                except Exception as error:
                    self.failed.append(f"{url}: {error!r}")
                self.slowest = max(self.slowest, time.monotonic() - begun)
                self.asked += 1


def outer():
    lab = Lab()
    info, config = lab.info, lab.info["demo"]["config_file"]
    agent = subprocess.Popen(
        [PROGRAM, "--config", config, "agent", "--listen", "127.0.0.1:0", "--json", "--google", "demo-google", "--azure", "demo-azure"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    told = json_from(agent)
    address = told["address"]
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_", "IDENTITY_"))]:
        del os.environ[name]
    account = info["clouds"]["azure"]["blob"] + info["clouds"]["azure"]["account"]
    os.environ.update(
        AWS_MAX_ATTEMPTS="15", AWS_RETRY_MODE="standard", NO_GCE_CHECK="false", BLOB_ACCOUNT=account,
        AWS_DEFAULT_REGION="eu-north-1", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
    through_agent = dict(
        os.environ,
        AWS_ENDPOINT_URL=info["clouds"]["aws"]["endpoint"],
        AWS_CONTAINER_CREDENTIALS_FULL_URI=address + "/aws/demo",
        AWS_CONTAINER_AUTHORIZATION_TOKEN=told["authorization"],
        GCE_METADATA_HOST=address.removeprefix("http://"), GCE_METADATA_IP=address.removeprefix("http://"),
        STORAGE_EMULATOR_HOST=info["clouds"]["google"]["endpoint"],
        IDENTITY_ENDPOINT=address + "/azure/demo-azure/msi", IDENTITY_HEADER=told["authorization"],
        REQUESTS_CA_BUNDLE=info["ca_file"],
    )
    watch = Watch(address, told["authorization"])
    watch.start()
    users = {}
    for user, target in [("boto3", "demo"), ("cli", "demo"), ("google", "demo-google"), ("azure", "demo-azure")]:
        inner = [sys.executable, __file__, *sys.argv[1:7], user]
        users[user + " through the agent"] = subprocess.Popen(inner, env=through_agent, stdout=subprocess.PIPE, text=True)
        under_exec = [PROGRAM, "--config", config, "exec", target, "--"] + inner
        users[user + " under exec"] = subprocess.Popen(under_exec, stdout=subprocess.PIPE, text=True)
    try:
        lab.trouble()
        for name, user in users.items():
            out, _ = user.communicate(timeout=UNTIL + 60)
            assert user.returncode == 0, f"{name} ended with {user.returncode}"
            count, credentials = json.loads(out)
            assert credentials >= 3, f"{name} had {credentials} credentials only"
            print(f"{name}: {count} reads with {credentials} credentials")
        watch.ended.set()
        watch.join()
        assert not watch.failed, watch.failed
        print(f"agent: {watch.asked} questions, the slowest answered after {watch.slowest:.1f} s")
    finally:
        for child in [lab.process, agent, *users.values()]:
            child.kill()


USERS = {"boto3": boto3, "cli": cli, "google": google, "azure": azure}
outer() if ROLE == "outer" else use(*USERS[ROLE]())
