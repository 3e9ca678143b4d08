"""What the OpenAPI document says of an answer."""

import json
import re

from jsonschema import Draft202012Validator


class Document:
    """An OpenAPI document.

    >>> Document({"paths": {"/a/{b}": {"get": {}}}}).operation("GET", "/a/1?c=d")
    {}
    """

    def __init__(self, document):
        self.document = document
        self.checked = set()
        """The operations and statuses that were seen."""

    def operation(self, method, path):
        """What the document says of a request, or None."""
        path = path.partition("?")[0]
        for template, operations in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{.*?\}", r"[^/]+", template), path):
                return operations.get(method.lower())
        return None

    def resolve(self, part):
        """A part of the document, or what it refers to."""
        if "$ref" not in part:
            return part
        found = self.document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return found

    def validate(self, value, schema):
        whole = schema | {"components": self.document.get("components", {})}
        Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)

    def check(self, method, path, status, headers, body):
        """Nothing, if an answer is as the document says."""
        operation = self.operation(method, path)
        if operation is None:
            return
        assert str(status) in operation["responses"], (method, path, status)
        response = self.resolve(operation["responses"][str(status)])
        for name, reference in response["headers"].items():
            described = self.resolve(reference)
            schema, value = described["schema"], headers.get(name)
            if value is None:
                assert not described.get("required"), (method, path, status, name)
                continue
            self.validate(int(value) if schema.get("type") == "integer" else value, schema)
        self.checked.add((operation["operationId"], status))
        if "content" not in response:
            assert body == b"", (method, path, status)
            return
        media_type = headers["content-type"].partition(";")[0]
        assert media_type in response["content"], (method, path, status, media_type)
        if media_type.endswith("json"):
            self.validate(json.loads(body), response["content"][media_type]["schema"])

    def examples(self):
        """Each example with its schema."""
        for operations in (*self.document["paths"].values(), *self.document["webhooks"].values()):
            for operation in operations.values():
                contents = [operation.get("requestBody", {}), *operation["responses"].values()]
                for content in map(self.resolve, contents):
                    for media in content.get("content", {}).values():
                        for example in media.get("examples", {}).values():
                            yield example["value"], media["schema"]


def checked(running):
    """A running service, each answer of which is checked against its own document."""
    document = Document(json.loads(running.request("GET", "/openapi.json")[2]))
    ask = running.request

    def request(method, path, *rest):
        status, headers, body = ask(method, path, *rest)
        document.check(method, path, status, headers, body)
        return status, headers, body

    running.request = request
    running.document = document
    return running
