"""Reads Protobuf schemas as text into descriptors: messages with scalars, nested messages, enums, maps and oneofs."""

import importlib
import re

from google.protobuf import descriptor_pb2

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|[\w.]+|\S', re.S)
Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {name: getattr(Field, "TYPE_" + name.upper()) for name in (
    "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "bytes", "uint32", "sfixed32",
    "sfixed64", "sint32", "sint64")}


def known_file(name):
    """Loads the module of a file that everybody knows, such as google/protobuf/wrappers.proto."""
    importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return name


def file_descriptor(text, name="schema.proto"):
    """The descriptor of the file with this text."""
    return _Reader(text).file(name)


class _Reader:
    def __init__(self, text):
        self.tokens = [token for token in TOKEN.findall(text) if not token.startswith(("//", "/*"))]
        self.position = 0

    def next(self, expected=None):
        token = self.tokens[self.position]
        self.position += 1
        assert expected in (None, token), f"expected {expected}, found {token}"
        return token

    def peek(self):
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def skip(self, until=";"):
        while self.next() != until:
            pass

    def file(self, name):
        file = descriptor_pb2.FileDescriptorProto(name=name, syntax="proto3")
        while (token := self.peek()) is not None:
            self.next()
            if token == "syntax":
                self.next("=")
                file.syntax = self.next().strip('"')
                self.next(";")
            elif token == "package":
                file.package = self.next()
                self.next(";")
            elif token == "import":
                file.dependency.append(self.next().strip('"'))
                self.next(";")
            elif token == "message":
                self.message(file.message_type.add())
            elif token == "enum":
                self.enum(file.enum_type.add())
            elif token != ";":
                self.skip()
        return file

    def enum(self, enum):
        enum.name = self.next()
        self.next("{")
        while (token := self.next()) != "}":
            if token in ("option", "reserved"):
                self.skip()
            else:
                self.next("=")
                enum.value.add(name=token, number=int(self.next()))
                self.skip()

    def message(self, message):
        message.name = self.next()
        self.next("{")
        while (token := self.next()) != "}":
            if token == "message":
                self.message(message.nested_type.add())
            elif token == "enum":
                self.enum(message.enum_type.add())
            elif token == "oneof":
                message.oneof_decl.add(name=self.next())
                self.next("{")
                while (inner := self.next()) != "}":
                    self.field(message, inner, Field.LABEL_OPTIONAL).oneof_index = len(message.oneof_decl) - 1
            elif token in ("option", "reserved", "extensions"):
                self.skip()
            elif token == "map":
                self.map(message)
            elif token in ("repeated", "optional", "required"):
                self.labelled(message, token)
            elif token != ";":
                self.field(message, token, Field.LABEL_OPTIONAL)

    def labelled(self, message, label):
        field = self.field(message, self.next(), getattr(Field, "LABEL_" + label.upper()))
        if label == "optional":
            field.proto3_optional = True
            message.oneof_decl.add(name="_" + field.name)
            field.oneof_index = len(message.oneof_decl) - 1

    def field(self, message, kind, label):
        field = message.field.add(name=self.next(), label=label)
        self.next("=")
        field.number = int(self.next())
        self.skip()
        if kind in SCALARS:
            field.type = SCALARS[kind]
        else:
            # The pool finds out whether it is a message or an enum.
            field.type_name = kind
        return field

    def map(self, message):
        self.next("<")
        key = self.next()
        self.next(",")
        value = self.next()
        self.next(">")
        field = self.field(message, key, Field.LABEL_REPEATED)
        entry = message.nested_type.add(name="".join(part.capitalize() for part in field.name.split("_")) + "Entry")
        entry.options.map_entry = True
        for number, (name, kind) in enumerate([("key", key), ("value", value)], 1):
            inner = entry.field.add(name=name, number=number, label=Field.LABEL_OPTIONAL)
            if kind in SCALARS:
                inner.type = SCALARS[kind]
            else:
                inner.type_name = kind
        field.type = Field.TYPE_MESSAGE
        field.type_name = entry.name
