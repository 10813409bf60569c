"""Connection strings, drawn: right ones, and wrong in a place or two."""

import urllib.parse

# Keywords with a few values.
CHOICES = {
    "sslmode": ["disable", "allow", "prefer", "require", "verify-ca",
                "verify-full"],
    "sslnegotiation": ["postgres", "direct"],
    "sslcertmode": ["disable", "allow", "require"],
    "channel_binding": ["disable", "prefer", "require"],
    "target_session_attrs": ["any", "read-write", "read-only", "primary",
                             "standby", "prefer-standby"],
    "load_balance_hosts": ["disable", "random"],
    "gssencmode": ["disable", "prefer"],
    "ssl_min_protocol_version": ["", "TLSv1", "tlsv1.1", "TLSv1.2",
                                 "TLSv1.3"],
    "ssl_max_protocol_version": ["", "TLSv1", "TLSv1.1", "tlsv1.2",
                                 "TLSV1.3"],
    "min_protocol_version": ["3.0"],
    "max_protocol_version": ["3.0", "3.2", "latest"],
    "sslsni": ["0", "1"],
    "sslcompression": ["0", "1"],
    "require_auth": ["", "password", "scram-sha-256", "none,md5", "!md5",
                     "gss,md5", "!gss,!none", "md5,md5", "md5,!none",
                     "!none,md5", "md5,", "!", "gss,gss,md5", "!none,!none"],
    "client_encoding": ["UTF8", "utf-8", "auto", ""],
    "sslrootcert": ["system", "/nonexistent", ""],
}
NUMBERS = ["connect_timeout", "keepalives", "keepalives_idle",
           "keepalives_interval", "keepalives_count", "tcp_user_timeout"]
NUMBER = ["1", "2", "30", " 7", "-1", "+5", "007"]
NO_NUMBER = ["", " ", "x", "1x", "1.5", "1 2", "2147483648", "0x10"]
TEXTS = ["user", "password", "dbname", "application_name",
         "fallback_application_name", "options", "requirepeer", "passfile",
         "sslcert", "sslkey", "sslpassword", "sslcrl", "sslcrldir"]
HOSTS = ["127.77.0.1", "::1", "/nonexistent", "/none such", "@nobody", ""]
PORTS = ["", "1", "2", " 9 ", "+3", "65535"]
NO_PORTS = ["0", "-1", "65536", "x", "1x"]

PIECES = list("abcXYZ019") + list(" '\\\"=%&@:/?#[],;+\t\n") + [
    "é", "\u00ad", "\xff", "%41", "%00", "postgres://"]
BLANKS = [" ", "  ", "\t", "\n", " \r\n ", "\v", "\f"]


def encode(text):
    """\\xff is a byte that is no UTF-8."""
    return b"\xff".join(part.encode() for part in text.split("\xff"))


class Strings:
    """Draws from rng, of the keywords that are known."""

    def __init__(self, rng, known):
        self.rng = rng
        self.choices = {key: values for key, values in CHOICES.items()
                        if key in known}
        if "require_auth" not in known:  # it is a file's name before 16
            self.choices["sslrootcert"] = ["/nonexistent", ""]

    def word(self):
        return "".join(self.rng.choices(PIECES, k=self.rng.randrange(8)))

    def hosts(self, bad):
        """host, hostaddr and port of one or more."""
        rng = self.rng
        count = rng.choice([1, 1, 1, 2, 3])
        several = count + (rng.random() < bad)
        port = rng.choices(PORTS + (NO_PORTS if rng.random() < bad else []),
                           k=rng.choice([1, several]))
        pairs = {"host": rng.choices(HOSTS, k=count), "port": port}
        if rng.random() < 0.3:
            pairs["hostaddr"] = rng.choices(["127.77.0.2", "::1", ""],
                                            k=several)
        return {key: ",".join(values) for key, values in pairs.items()
                if rng.random() < 0.8}

    def value(self, key, bad):
        rng = self.rng
        wrong = rng.random() < bad
        if key in self.choices:
            values = self.choices[key]
            return rng.choice(["", "x", " " + values[0], values[-1].upper(),
                               "2"] if wrong else values)
        if key in NUMBERS:
            return rng.choice(NO_NUMBER if wrong else NUMBER)
        return self.word()

    def settings(self, bad=0.03, most=6):
        """{keyword: value}; bad: how likely each is to be wrong."""
        rng = self.rng
        keys = [*self.choices, *NUMBERS, *TEXTS * 3]
        pairs = {key: self.value(key, bad) for key in
                 rng.sample(keys, rng.randrange(most))}
        pairs |= self.hosts(bad)
        if rng.random() < bad:
            pairs[rng.choice(["uzer", "Host", "", "ssl", "requiressl", "tty",
                              "service"])] = rng.choice("01x")
        order = list(pairs.items())
        rng.shuffle(order)
        return dict(order)

    # keyword = 'value'

    def quoted(self, value):
        rng = self.rng
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        if value and not value.startswith("'") and rng.random() < 0.5:
            return "".join("\\" + c if c in BLANKS or c in " \r" else c
                           for c in escaped)
        return f"'{escaped}'"

    def pairs(self, settings):
        rng = self.rng

        def blank(likely):
            return rng.choice(BLANKS) if rng.random() < likely else ""

        return blank(0.1) + "".join(
            f"{key}{blank(0.1)}={blank(0.1)}{self.quoted(value)}"
            + rng.choice(BLANKS) for key, value in settings.items())

    # postgres://

    def percent(self, text, also=""):
        """Some more characters than have to be are encoded."""
        return "".join(
            c if c.isascii() and c.isalnum() and self.rng.random() < 0.9
            or c in also else urllib.parse.quote_from_bytes(encode(c), safe="")
            for c in text)

    def place(self, pairs):
        """host and port, if they can be in the authority."""
        hosts = pairs.get("host", "").split(",")
        ports = pairs.get("port", "").split(",")
        if len(hosts) != len(ports) or self.rng.random() < 0.2:
            return ""
        pairs.pop("host", None)
        pairs.pop("port", None)
        return ",".join(
            (f"[{host}]" if ":" in host else self.percent(host, "-._"))
            + (":" + self.percent(port) if port or self.rng.random() < 0.2
               else "")
            for host, port in zip(hosts, ports))

    def uri(self, settings):
        rng = self.rng
        pairs = dict(settings)
        text = rng.choice(["postgres://", "postgresql://"])
        if "user" in pairs and rng.random() < 0.8:
            text += self.percent(pairs.pop("user"), "-._~!$&'*+,;=?")
            if "password" in pairs and rng.random() < 0.8:
                text += ":" + self.percent(pairs.pop("password"),
                                           "-._~!$&'*+,;=?:")
            text += "@"
        text += self.place(pairs)
        if "dbname" in pairs and rng.random() < 0.8:
            text += "/" + self.percent(pairs.pop("dbname"), "-._~/:@&=#")
        elif rng.random() < 0.3:
            text += "/"
        if pairs or rng.random() < 0.1:
            text += "?" + "&".join(
                f"{self.percent(key, '_')}={self.percent(value, ':/?#[]')}"
                for key, value in pairs.items())
        return text

    def spoilt(self, text):
        """One to three characters are others, are lost or are added."""
        rng = self.rng
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(["", *PIECES]) + text[
                at + rng.randrange(2):]
        return text
