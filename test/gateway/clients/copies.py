"""Layers and provisioned concurrency, by boto3 as it comes, of functions that are copied. Argument: endpoint."""
import io
import json
import sys
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client("lambda", endpoint_url=sys.argv[1], config=Config(retries={"max_attempts": 0}))
ROLE = "arn:aws:iam::000000000000:role/perch"
WAIT_S = 60


def make_zip(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def check(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def publish(name, says):
    files = {
        "nodejs/node_modules/words/index.js": f"exports.word = '{says}';",
        "python/words.py": f"word = '{says}'",
    }
    answer = client.publish_layer_version(LayerName=name, Content={"ZipFile": make_zip(files)})
    return answer["LayerVersionArn"]


def invoke(name, **arguments):
    answer = client.invoke(FunctionName=name, Payload=b"{}", **arguments)
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload, answer["ResponseMetadata"]["HTTPHeaders"]["x-perch-start"]


NODE = """const { word } = require('words');
exports.handler = async () => [word, process.env.AWS_LAMBDA_INITIALIZATION_TYPE];"""
PYTHON = """import os
from words import word
def handler(event, context):
    return [word, os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']]
"""

layers = [publish("earlier", "earlier"), publish("later", "later")]
for runtime, files in (("nodejs24.x", {"index.js": NODE}), ("python3.11", {"index.py": PYTHON})):
    for isolation in ("reuse", "fresh"):
        name = f"boto3-{runtime[:4]}-{isolation}"
        client.create_function(
            FunctionName=name,
            Role=ROLE,
            Runtime=runtime,
            Handler="index.handler",
            Code={"ZipFile": make_zip(files)},
            Layers=layers,
            Environment={"Variables": {"PERCH_ISOLATION": isolation}},
            Publish=True,
        )
        for _ in range(3):
            check(invoke(name)[0], ["later", "on-demand"])

        provisioned = {"FunctionName": name, "Qualifier": "1"}
        put = client.put_provisioned_concurrency_config(**provisioned, ProvisionedConcurrentExecutions=2)
        check(put["RequestedProvisionedConcurrentExecutions"], 2)
        until = time.monotonic() + WAIT_S
        config = put
        while config["Status"] != "READY":
            assert time.monotonic() < until and config["Status"] == "IN_PROGRESS", config
            time.sleep(0.05)
            config = client.get_provisioned_concurrency_config(**provisioned)
        check(config["AvailableProvisionedConcurrentExecutions"], 2)
        check(invoke(name, Qualifier="1"), (["later", "provisioned-concurrency"], "warm"))
        client.delete_provisioned_concurrency_config(**provisioned)
        try:
            client.get_provisioned_concurrency_config(**provisioned)
            raise AssertionError("it is still provisioned")
        except ClientError as error:
            check(error.response["Error"]["Code"], "ProvisionedConcurrencyConfigNotFoundException")

for name in ("earlier", "later"):
    client.delete_layer_version(LayerName=name, VersionNumber=1)
for name in ("boto3-node-reuse", "boto3-pyth-fresh"):
    # Another revision: its instances are made anew, from layers that nobody else can have any more.
    client.update_function_configuration(FunctionName=name, Timeout=9)
    check(invoke(name)[0], ["later", "on-demand"])
    client.update_function_configuration(FunctionName=name, Layers=[])
    assert b"words" in client.invoke(FunctionName=name)["Payload"].read()

print(f"boto3 {boto3.__version__} ok")
