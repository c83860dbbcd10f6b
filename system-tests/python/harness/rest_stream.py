"""Records written to v3 of a REST Proxy over one connection while the answers come back."""

import http.client
import json


class Stream:
    """One connection; the body is sent in chunks."""

    def __init__(self, port, path):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.putrequest("POST", path)
        self.connection.putheader("Content-Type", "application/json")
        self.connection.putheader("Transfer-Encoding", "chunked")
        self.connection.endheaders()
        self.response, self._text, self._decoder = None, "", json.JSONDecoder()

    def send(self, *records):
        text = "\n".join(record if isinstance(record, str) else json.dumps(record) for record in records)
        self.send_bytes(text.encode())

    def send_bytes(self, data):
        self.connection.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.connection.send(b"0\r\n\r\n")

    def answer(self):
        """The next answer; `None` at the end."""
        if self.response is None:
            self.response = self.connection.getresponse()
            assert self.response.status == 200, self.response.read()
        while True:
            text = self._text.lstrip()
            try:
                answer, end = self._decoder.raw_decode(text)
                self._text = text[end:]
                return answer
            except json.JSONDecodeError:
                read = self.response.read1(65536)
                if not read:
                    assert not text, text
                    return None
                self._text = text + read.decode()

    def rest(self):
        answers = []
        while (answer := self.answer()) is not None:
            answers.append(answer)
        return answers

    def close(self):
        self.connection.close()
