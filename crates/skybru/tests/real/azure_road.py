"""Azure's SDKs against the lab: the owner's set-up, the consumer's road, and the refusals, each in Azure's own words.

Prints a line for each thing proven; anything unexpected ends in a traceback.
"""

import json
import os
import tempfile
import time
import uuid

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ClientAssertionCredential, DefaultAzureCredential, WorkloadIdentityCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.storage.blob import BlobServiceClient
from azure.storage.filedatalake import DataLakeServiceClient
from azure.storage.fileshare import ShareServiceClient

lab, tokens = json.loads(os.environ["LAB"]), json.loads(os.environ["TOKENS"])
azure, demo = lab["clouds"]["azure"], lab["demo"]
subscription = azure["subscription_id"]
expected = b"stop,departure\nBergen,07:10\nVoss,08:35\n"
name = "timetables/line-1.csv"
once = {"retry_total": 0}


class Owner:
    """The subscription's owner, as the lab gives it out."""

    def get_token(self, *scopes, **options):
        return AccessToken(azure["access_token"], int(time.time()) + 3600)


def proven(what):
    print("proven:", what)


def refused(code, text, call):
    """The call must fail with this code, and this text within its message."""
    try:
        call()
    except (ClientAuthenticationError, HttpResponseError) as error:
        message = f"{getattr(error, 'error_code', '')} {error.message}"
        assert code in message and text in message, message
        print("refused:", code, text)
        return
    raise AssertionError(f"let through, although {code} was expected")


def asserting(token, tenant=azure["tenant_id"], client=azure["client_id"]):
    return ClientAssertionCredential(tenant, client, lambda: token, authority=azure["authority"], disable_instance_discovery=True)


def blobs(credential, account=azure["account"]):
    return BlobServiceClient(f"{azure['blob']}{account}", credential=credential, **once)


def read(credential, container=azure["container"], path=name):
    return blobs(credential).get_blob_client(container, path).download_blob().readall()


# The road, with each credential of azure-identity.
folder = tempfile.mkdtemp()
token_file = os.path.join(folder, "token")
with open(token_file, "w") as file:
    file.write(tokens["good"])
workload = WorkloadIdentityCredential(
    tenant_id=azure["tenant_id"], client_id=azure["client_id"], token_file_path=token_file, authority=azure["authority"]
)
assert read(workload) == expected
proven("WorkloadIdentityCredential reads the blob")
good = asserting(tokens["good"])
assert read(good) == expected
proven("ClientAssertionCredential reads the blob")
os.environ.update(
    AZURE_TENANT_ID=azure["tenant_id"],
    AZURE_CLIENT_ID=azure["client_id"],
    AZURE_FEDERATED_TOKEN_FILE=token_file,
    AZURE_AUTHORITY_HOST=azure["authority"],
)
assert read(DefaultAzureCredential()) == expected
proven("DefaultAzureCredential reads the blob")
container = blobs(good).get_container_client(azure["container"])
assert [blob.name for blob in container.list_blobs(name_starts_with="timetables/")] == [name]
assert [blob.name for blob in container.walk_blobs()] == ["timetables/"]
proven("the container is listed, flat and by folder")

# Data Lake, by access control lists alone.
lake = DataLakeServiceClient(f"{azure['dfs']}{azure['lake_account']}", credential=good, **once)
files = lake.get_file_system_client(azure["container"])
assert files.get_file_client(name).download_file().readall() == expected
assert [path.name for path in files.get_paths("timetables")] == [name]
proven("Data Lake's client reads and lists by its lists")

# Files, with the backup intent.
shares = ShareServiceClient(f"{azure['file']}{azure['account']}", credential=good, token_intent="backup", **once)
share = shares.get_share_client(azure["file_share"])
assert share.get_file_client(name).download_file().readall() == expected
assert [entry.name for entry in share.get_directory_client("timetables").list_directories_and_files()] == ["line-1.csv"]
proven("Files's client reads and lists with the backup intent")

# Refusals, in Entra's words.
no_match = "No matching federated identity record found for presented assertion"
refused("AADSTS700212", f"{no_match} audience 'https://somebody.else.example'", lambda: read(asserting(tokens["wrong_audience"])))
refused("AADSTS700213", f"{no_match} subject '0192:311046349", lambda: read(asserting(tokens["wrong_subject"])))
refused("AADSTS700024", "Client assertion is not within its valid time range.", lambda: read(asserting(tokens["expired"])))
refused("AADSTS700027", "The key was not found.", lambda: read(asserting(tokens["unknown_key"])))
refused("AADSTS700016", "was not found in the directory", lambda: read(asserting(tokens["good"], client=azure["principal_id"])))
refused("AADSTS90002", "not found. Check to make sure you have the correct tenant ID", lambda: read(asserting(tokens["good"], tenant=str(uuid.uuid4()))))

# Refusals, in storage's.
mismatch = "This request is not authorized to perform this operation using this permission."
refused("AuthorizationPermissionMismatch", mismatch, lambda: read(good, azure["private_container"], "payroll/2026.csv"))
refused("AuthorizationPermissionMismatch", mismatch, lambda: container.upload_blob("timetables/mine.csv", b"mine"))
refused("AuthorizationPermissionMismatch", mismatch, lambda: files.get_file_client("payroll/2026.csv").download_file())
refused("AuthorizationPermissionMismatch", mismatch, lambda: share.get_file_client("timetables/mine.csv").create_file(4))

# The owner's set-up, with the management SDKs: another identity for the same consumer, with a role of its own.
managed = ManagedServiceIdentityClient(Owner(), subscription, base_url=azure["arm"], credential_scopes=["https://management.azure.com/.default"])
identity = managed.user_assigned_identities.create_or_update("sharing", "from-the-sdk", {"location": "norwayeast"})
trust = {"issuer": lab["issuers"]["skyporten"], "subject": f"{demo['consumer_org']};{demo['scope']}", "audiences": [demo["resource"]]}
record = managed.federated_identity_credentials
record.create_or_update("sharing", "from-the-sdk", "b-reads", trust)
refused("exactly one audience", "", lambda: record.create_or_update("sharing", "from-the-sdk", "two", {**trust, "audiences": ["a", "b"]}))
roles = AuthorizationManagementClient(Owner(), subscription, base_url=azure["arm"], credential_scopes=["https://management.azure.com/.default"])
group = f"/subscriptions/{subscription}/resourceGroups/sharing"
scope = f"{group}/providers/Microsoft.Storage/storageAccounts/{azure['account']}/blobServices/default/containers/{azure['private_container']}"
reader = next(iter(roles.role_definitions.list(scope, filter="roleName eq 'Storage Blob Data Reader'")))
fresh = asserting(tokens["good"], client=identity.client_id)
refused("AuthorizationPermissionMismatch", mismatch, lambda: read(fresh, azure["private_container"], "payroll/2026.csv"))
assignment = {"role_definition_id": reader.id, "principal_id": identity.principal_id, "principal_type": "ServicePrincipal"}
roles.role_assignments.create(scope, str(uuid.uuid4()), assignment)
assert read(fresh, azure["private_container"], "payroll/2026.csv").startswith(b"name,salary")
proven("an identity, its credential and its role, made with the management SDKs, let the consumer in")
wrong = {**assignment, "principal_id": identity.client_id}
refused("PrincipalNotFound", "does not exist in the directory", lambda: roles.role_assignments.create(group, str(uuid.uuid4()), wrong))
managed.federated_identity_credentials.delete("sharing", "from-the-sdk", "b-reads")
revoked = asserting(tokens["good"], client=identity.client_id)
refused("AADSTS70025", "has no configured federated identity credentials", lambda: read(revoked))

# The owner writes: in one piece, in blocks, in the lake, and takes away.
owned = blobs(Owner()).get_container_client(azure["container"])
big = os.urandom(9 * 1024 * 1024)
owner_blobs = BlobServiceClient(f"{azure['blob']}{azure['account']}", credential=Owner(), max_single_put_size=1 << 20, max_block_size=1 << 20, **once)
blob = owner_blobs.get_blob_client(azure["container"], "sdk/big.bin")
blob.upload_blob(big, metadata={"line": "1"})
assert blob.download_blob().readall() == big and blob.get_blob_properties().metadata == {"line": "1"}
refused("BlobAlreadyExists", "already exists", lambda: blob.upload_blob(b"again"))
blob.delete_blob()
assert not blob.exists()
directory = DataLakeServiceClient(f"{azure['dfs']}{azure['lake_account']}", credential=Owner(), **once).get_file_system_client(azure["container"]).create_directory("sdk")
path = directory.create_file("a.bin")
path.upload_data(big, overwrite=True)
assert path.download_file().readall() == big
directory.set_access_control(acl=f"user:{azure['principal_id']}:r-x")
assert azure["principal_id"] in directory.get_access_control()["acl"]
moved = directory.rename_directory(f"{azure['container']}/archive")
assert moved.get_file_client("a.bin").get_file_properties().size == len(big)
moved.delete_directory()
proven("the owner writes in blocks and in the lake, moves, and takes away")
