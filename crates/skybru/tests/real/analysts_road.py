"""pyarrow, gcsfs and adlfs against the lab. Each thing proven is one line; anything else is an exception."""

import json
import os

import boto3
import pyarrow as pa
import pyarrow.fs as arrow
import pyarrow.parquet as parquet

LAB = json.loads(os.environ["LAB"])
AWS, GOOGLE, AZURE = (LAB["clouds"][cloud] for cloud in ("aws", "google", "azure"))
TOKEN = os.environ["TOKEN"]
TIMETABLE = b"stop,departure\nBergen,07:10\nVoss,08:35\n"


def proven(what):
    print(what, flush=True)


def refused(what, call, words):
    try:
        call()
    except Exception as error:
        assert words in str(error), f"{what}: {error!r}"
        return proven(f"refused: {what}")
    raise AssertionError(f"{what} was allowed")


def s3(key, secret, token=None):
    host = AWS["endpoint"].removeprefix("http://")
    return arrow.S3FileSystem(
        access_key=key, secret_key=secret, session_token=token, endpoint_override=host, scheme="http", region=AWS["region"]
    )


sts = boto3.client("sts", endpoint_url=AWS["endpoint"], region_name=AWS["region"])
given = sts.assume_role_with_web_identity(RoleArn=os.environ["ROLE_ARN"], RoleSessionName="analyst", WebIdentityToken=TOKEN)["Credentials"]
consumer = s3(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
with consumer.open_input_file("fjordbuss-data/timetables/line-1.csv") as file:
    assert file.read() == TIMETABLE
proven("pyarrow reads what the role may read")
refused("pyarrow writes", lambda: consumer.open_output_stream("fjordbuss-data/timetables/x").close(), "ACCESS_DENIED")

owner = s3(AWS["access_key_id"], AWS["secret_access_key"])
table = pa.table({"stop": ["Bergen", "Voss"] * 500_000, "departure": list(range(1_000_000))})
parquet.write_table(table, "fjordbuss-data/own/table.parquet", filesystem=owner)
assert parquet.read_table("fjordbuss-data/own/table.parquet", filesystem=owner, columns=["departure"]).num_rows == 1_000_000
proven("pyarrow writes and reads Parquet in parts")
owner.delete_dir("fjordbuss-data/own")
proven("pyarrow deletes a folder")

import gcsfs  # noqa: E402
import google.oauth2.credentials  # noqa: E402

credentials = google.oauth2.credentials.Credentials(GOOGLE["access_token"])
google_files = gcsfs.GCSFileSystem(project=GOOGLE["project"], token=credentials, endpoint_url=GOOGLE["endpoint"])
assert google_files.cat("fjordbuss-data/timetables/line-1.csv") == TIMETABLE
proven("gcsfs reads")
google_files.pipe("fjordbuss-data/own/a.txt", b"hei\n")
google_files.cp("fjordbuss-data/own/a.txt", "fjordbuss-data/own/b.txt")
assert google_files.cat("fjordbuss-data/own/b.txt") == b"hei\n"
google_files.rm("fjordbuss-data/own", recursive=True)
proven("gcsfs writes, copies and deletes")

import adlfs  # noqa: E402
from azure.identity.aio import ClientAssertionCredential  # noqa: E402


credential = ClientAssertionCredential(
    AZURE["tenant_id"], AZURE["client_id"], lambda: TOKEN, authority=AZURE["authority"], disable_instance_discovery=True
)
host = f"{AZURE['blob'].removeprefix('https://')}{AZURE['account']}"
files = adlfs.AzureBlobFileSystem(account_name=AZURE["account"], account_host=host, credential=credential)
assert files.ls("fjordbuss-data/timetables") == ["fjordbuss-data/timetables/line-1.csv"]
proven("adlfs lists")
assert files.cat("fjordbuss-data/timetables/line-1.csv") == TIMETABLE
proven("adlfs reads")
