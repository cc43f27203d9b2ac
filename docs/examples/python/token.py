import json, os, urllib.request

ask = {"identity_provider": os.environ["CLIENT"], "target": os.environ["SCOPE"], "resource": os.environ["RESOURCE"]}
request = urllib.request.Request(os.environ["TOKEN_ENDPOINT"], json.dumps(ask).encode(), {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as answer:
    token = json.load(answer)["access_token"]
print(len(token))
