"""Asks for an access token with the SDK that the first argument names, as a program that knows nothing of skybru does."""
import sys

which = sys.argv[1]
if which == "google":
    import google.auth
    import google.auth.transport.requests

    credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    credentials.refresh(google.auth.transport.requests.Request())
    print(type(credentials).__module__, project, credentials.token)
elif which == "azure-default":
    from azure.identity import DefaultAzureCredential

    print(DefaultAzureCredential().get_token("https://storage.azure.com/.default").token)
elif which == "azure-managed":
    from azure.identity import ManagedIdentityCredential

    print(ManagedIdentityCredential(client_id=sys.argv[2]).get_token("https://storage.azure.com/.default").token)
