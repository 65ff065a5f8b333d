"""The life of a function, by boto3 as it comes. Arguments: endpoint, path of a zip, path of another."""
import json
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, first_zip, second_zip = sys.argv[1:4]
client = boto3.client("lambda", endpoint_url=endpoint, config=Config(retries={"max_attempts": 0}))
ROLE = "arn:aws:iam::000000000000:role/perch"
NAME = "boto3-life"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["Error"]["Message"], error
        return error.response
    raise AssertionError(f"expected {code}")


def check(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


created = client.create_function(
    FunctionName=NAME,
    Role=ROLE,
    Runtime="nodejs24.x",
    Handler="index.handler",
    Code={"ZipFile": read(first_zip)},
    Environment={"Variables": {"GREETING": "hello"}},
    Tags={"team": "a b", "größe": "1"},
    Description="A first one",
)
check(created["Version"], "$LATEST")
check(created["ResponseMetadata"]["HTTPStatusCode"], 201)
client.get_waiter("function_active").wait(FunctionName=NAME)
client.get_waiter("function_updated").wait(FunctionName=NAME)

try:
    client.create_function(FunctionName=NAME, Role=ROLE, Runtime="nodejs24.x", Handler="index.handler", Code={"ZipFile": read(first_zip)})
    raise AssertionError("created twice")
except client.exceptions.ResourceConflictException:
    pass

answer = client.invoke(FunctionName=NAME, Payload=json.dumps({"n": 1}), LogType="Tail")
check(answer["StatusCode"], 200)
check(answer["ExecutedVersion"], "$LATEST")
check(json.load(answer["Payload"]), {"greeting": "hello", "event": {"n": 1}})
assert "LogResult" in answer
check(client.invoke(FunctionName=NAME, InvocationType="Event", Payload=b"{}")["StatusCode"], 202)
check(client.invoke(FunctionName=NAME, InvocationType="DryRun")["StatusCode"], 204)
failed = client.invoke(FunctionName=NAME, Payload=json.dumps({"fail": "because"}))
check(failed["FunctionError"], "Unhandled")
check(json.load(failed["Payload"])["errorMessage"], "because")

arn = created["FunctionArn"]
described = client.get_function(FunctionName=arn)
check(described["Tags"], {"team": "a b", "größe": "1"})
with urllib.request.urlopen(described["Code"]["Location"]) as response:
    check(response.read(), read(first_zip))

check(client.update_function_code(FunctionName=NAME, ZipFile=read(second_zip), DryRun=True)["FunctionName"], NAME)
updated = client.update_function_code(FunctionName=NAME, ZipFile=read(second_zip))
assert updated["CodeSha256"] != created["CodeSha256"]
check(json.load(client.invoke(FunctionName=NAME)["Payload"]), {"second": True})
stale = dict(FunctionName=NAME, ZipFile=read(first_zip), RevisionId=created["RevisionId"])
refused("PreconditionFailedException", client.update_function_code, **stale)

changed = client.update_function_configuration(FunctionName=NAME, MemorySize=256, Timeout=7, Description="")
check((changed["MemorySize"], changed["Timeout"], changed["Description"]), (256, 7, ""))
check(changed["Environment"]["Variables"], {"GREETING": "hello"})
check(client.get_function_configuration(FunctionName=NAME)["MemorySize"], 256)

published = client.publish_version(FunctionName=NAME, Description="one")
check(published["Version"], "1")
check(client.invoke(FunctionName=f"{NAME}:1")["ExecutedVersion"], "1")
check(client.invoke(FunctionName=NAME, Qualifier="1")["ExecutedVersion"], "1")
versions = client.list_versions_by_function(FunctionName=NAME)["Versions"]
check([version["Version"] for version in versions], ["$LATEST", "1"])

for number in range(3):
    client.create_function(
        FunctionName=f"boto3-page-{number}", Role=ROLE, Runtime="nodejs22.x", Handler="index.handler", Code={"ZipFile": read(first_zip)}
    )
pages = list(client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
names = [function["FunctionName"] for page in pages for function in page["Functions"]]
assert len(pages) >= 2 and names == sorted(names), names
check([name for name in names if name.startswith("boto3-")], [NAME, "boto3-page-0", "boto3-page-1", "boto3-page-2"])

check(client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)["ReservedConcurrentExecutions"], 0)
check(client.get_function_concurrency(FunctionName=NAME)["ReservedConcurrentExecutions"], 0)
throttled = refused("TooManyRequestsException", client.invoke, FunctionName=NAME)
check(throttled["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded")
client.delete_function_concurrency(FunctionName=NAME)
assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=NAME)

provisioned = dict(FunctionName=NAME, Qualifier="1")
put = client.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=1, **provisioned)
check(put["RequestedProvisionedConcurrentExecutions"], 1)
assert client.get_provisioned_concurrency_config(**provisioned)["Status"] in ("IN_PROGRESS", "READY")
listed = client.list_provisioned_concurrency_configs(FunctionName=NAME)["ProvisionedConcurrencyConfigs"]
check([item["FunctionArn"] for item in listed], [f"{arn}:1"])
client.delete_provisioned_concurrency_config(**provisioned)
refused("ProvisionedConcurrencyConfigNotFoundException", client.get_provisioned_concurrency_config, **provisioned)

client.tag_resource(Resource=arn, Tags={"x/y": "z="})
client.untag_resource(Resource=arn, TagKeys=["team", "größe"])
check(client.list_tags(Resource=arn)["Tags"], {"x/y": "z="})
assert client.get_account_settings()["AccountUsage"]["FunctionCount"] >= 4

for number in range(3):
    client.delete_function(FunctionName=f"boto3-page-{number}")
client.delete_function(FunctionName=NAME, Qualifier="1")
refused("ResourceNotFoundException", client.invoke, FunctionName=NAME, Qualifier="1")
client.delete_function(FunctionName=NAME)
try:
    client.get_function(FunctionName=NAME)
    raise AssertionError("still there")
except client.exceptions.ResourceNotFoundException:
    pass
refused("ResourceNotFoundException", client.delete_function, FunctionName=NAME)
print("boto3", boto3.__version__, "ok")
