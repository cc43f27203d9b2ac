"""boto3 against the lab: the owner's set-up, the consumer's road, and the refusals, each with AWS's code.

Prints a line for each thing proven; anything unexpected ends in a traceback.
"""

import json
import os

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

lab, tokens, role_arn = json.loads(os.environ["LAB"]), json.loads(os.environ["TOKENS"]), os.environ["ROLE_ARN"]
aws = lab["clouds"]["aws"]
where = {"endpoint_url": aws["endpoint"], "region_name": aws["region"]}
once = {"retries": {"max_attempts": 1, "mode": "standard"}}
root = {"aws_access_key_id": aws["access_key_id"], "aws_secret_access_key": aws["secret_access_key"], "config": Config(**once)}
sts = boto3.client("sts", config=Config(signature_version=UNSIGNED, **once), **where)


def refused(code, text, call, **arguments):
    """The call must fail with this code, and this text within its message."""
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]
        assert found["Code"] == code, found
        assert text in found.get("Message", ""), found
        print("refused:", code, text)
        return
    raise AssertionError(f"let through, although {code} was expected")


def assume(token, role=role_arn):
    return sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="boto3", WebIdentityToken=token)


def s3(credentials):
    keys = {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }
    return boto3.client("s3", config=Config(s3={"addressing_style": "path"}, **once), **keys, **where)


answer = assume(tokens["good"])
consumer = s3(answer["Credentials"])
body = consumer.get_object(Bucket="fjordbuss-data", Key="timetables/line-1.csv")["Body"].read()
assert b"Bergen" in body, body
print("read:", len(body), "bytes")
listed = consumer.list_objects_v2(Bucket="fjordbuss-data", Prefix="timetables/")
assert [found["Key"] for found in listed["Contents"]] == ["timetables/line-1.csv"], listed
print("listed:", listed["KeyCount"])

refused("AccessDenied", "s3:GetObject", consumer.get_object, Bucket="fjordbuss-data", Key="payroll/2026.csv")
refused("AccessDenied", "s3:ListBucket", consumer.list_objects_v2, Bucket="fjordbuss-data")
tampered = dict(answer["Credentials"], SessionToken=answer["Credentials"]["SessionToken"][:-4] + "AAAA")
refused("InvalidToken", "", s3(tampered).list_buckets)
wrong = dict(answer["Credentials"], SecretAccessKey="0" * 40)
refused("SignatureDoesNotMatch", "", s3(wrong).list_buckets)

text = "The web identity token provided could not be validated."
refused("InvalidIdentityToken", text, lambda: assume(tokens["wrong_audience"]))
refused("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", lambda: assume(tokens["wrong_subject"]))
refused("ExpiredTokenException", "Token expired: current date/time", lambda: assume(tokens["expired"]))
refused("InvalidIdentityToken", "Couldn't retrieve verification key", lambda: assume(tokens["unknown_key"]))

iam = boto3.client("iam", **root, **where)
for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
refused("InvalidIdentityToken", "No OpenIDConnect provider found in your account", lambda: assume(tokens["good"]))
