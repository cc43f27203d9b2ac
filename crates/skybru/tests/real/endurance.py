"""Unmodified boto3 and aws CLI, through the agent and under exec, for longer than two lives of their credentials.

Runs under faketime, so that half an hour passes in a minute and a half. Meanwhile the lab, and the issuer with it, is restarted once and
away for twenty seconds once. Any error at the user's end fails the run.

Arguments: the program, a folder, the first of the lab's ports, "outer" or "inner".
"""
import json
import os
import subprocess
import sys
import threading
import time

SPEED = 20
# Python's own sleep and faketime do not get on with each other; waiting for what never comes takes real time.
time.sleep = lambda seconds: threading.Event().wait(seconds / SPEED)

PROGRAM, FOLDER, PORT, ROLE = sys.argv[1:5]
LIFE = 900
UNTIL = 2 * LIFE + 200
BUCKET, KEY = "fjordbuss-data", "timetables/line-1.csv"


def read(client):
    body = client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    assert body.startswith(b"line") or b"," in body, body


def boto(seconds):
    """Reads every few seconds with one client, as a service does; returns how often, and with how many different keys."""
    import boto3
    from botocore.config import Config

    session = boto3.Session()
    client = session.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 12}))
    begun, count, keys = time.time(), 0, set()
    while time.time() - begun < seconds:
        read(client)
        keys.add(session.get_credentials().get_frozen_credentials().access_key)
        count += 1
        time.sleep(10)
    return count, len(keys)


def lab():
    command = [PROGRAM, "up", "--json", "--data", FOLDER + "/lab", "--port-base", PORT]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process, json_from(process)


def json_from(process):
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            return json.loads(text)
    raise SystemExit("no JSON: " + text)


def outer():
    process, info = lab()
    settings = open(info["demo"]["config_file"]).read().replace("[targets.demo.aws]", f"[targets.demo.aws]\nduration-seconds = {LIFE}")
    config = info["data_dir"] + "/endurance.toml"
    open(config, "w").write(settings)
    agent = subprocess.Popen(
        [PROGRAM, "--config", config, "agent", "--listen", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    told = json_from(agent)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS_DEFAULT_REGION="eu-north-1", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
    through_agent = dict(
        os.environ,
        AWS_ENDPOINT_URL=info["clouds"]["aws"]["endpoint"],
        AWS_CONTAINER_CREDENTIALS_FULL_URI=told["address"] + "/aws/demo",
        AWS_CONTAINER_AUTHORIZATION_TOKEN=told["authorization"],
    )
    inner = [sys.executable, __file__, PROGRAM, FOLDER, PORT, "inner"]
    users = {
        "boto3 through the agent": subprocess.Popen(inner, env=through_agent, stdout=subprocess.PIPE, text=True),
        "boto3 under exec": subprocess.Popen(
            [PROGRAM, "--config", config, "exec", "demo", "--"] + inner, stdout=subprocess.PIPE, text=True),
    }
    begun, restarted, cut, runs = time.time(), False, False, 0
    try:
        while any(user.poll() is None for user in users.values()):
            passed = time.time() - begun
            if passed > 600 and not restarted:
                process.kill()
                process.wait()
                process, _ = lab()
                restarted = True
            if passed > 1200 and not cut:
                process.kill()
                process.wait()
                time.sleep(20)
                process, _ = lab()
                cut = True
            subprocess.run(
                [PROGRAM, "--config", config, "exec", "demo", "--", "aws", "s3", "cp", f"s3://{BUCKET}/{KEY}", "-"],
                check=True, stdout=subprocess.DEVNULL)
            runs += 1
        assert restarted and cut
        for name, user in users.items():
            assert user.returncode == 0, f"{name} ended with {user.returncode}"
            count, keys = json.loads(user.stdout.read())
            assert keys >= 3, f"{name} had {keys} credentials only"
            print(f"{name}: {count} reads with {keys} credentials")
        print(f"aws CLI under exec: {runs} runs")
    finally:
        for child in [process, agent, *users.values()]:
            child.kill()


if ROLE == "inner":
    print(json.dumps(boto(UNTIL)))
else:
    outer()
