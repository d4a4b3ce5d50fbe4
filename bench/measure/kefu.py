"""kefu's programs, with a configuration as a user would write it."""

from processes import Process, free_port, http, wait_for
from servers import AES_KEY, TOKEN

ECHO = '[[rule]]\nwhen = { type = "text" }\nreply = [{ text = "{content}" }]\n'
IGNORE = '[[rule]]\nwhen = { type = "text" }\nignore = true\n'


def rules(count):
    """So many rules, of which the last one matches."""
    others = [f'[[rule]]\nwhen = {{ type = "text", contains = "词{number}" }}\nignore = true\n' for number in range(1, count)]
    return "".join(others) + ECHO


class Kefu:
    """One configuration: the default values, but for what is given here."""

    def __init__(self, build, folder, queue, store, api="http://127.0.0.1:9", accounts=1, rule=ECHO, ingress="", worker=""):
        self.build, self.folder = build, folder
        self.address, self.internal, self.workers = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.config = folder / f"{build.name}.toml"
        credentials = f'secret = "any"\ntoken = "{TOKEN}"\nencoding_aes_key = "{AES_KEY}"\nmode = "safe"\n'
        account = "".join(f'[[account]]\nappid = "wx{number:016x}"\n{credentials}' for number in range(accounts))
        self.config.write_text(
            f'[queue]\nurl = "{queue}"\n[store]\nurl = "{store}"\n'
            f'[ingress]\nlisten = "{self.address}"\ninternal_listen = "{self.internal}"\n{ingress}\n'
            f'[worker]\ninternal_listen = "127.0.0.1:0"\n{worker}\n'
            f'[wechat]\napi_base = "{api}"\n{account}{rule}'
        )

    def _start(self, program, *arguments):
        log = self.folder / f"{self.build.name}-{program}.log"
        command = [self.build.folder / program, *arguments, "--config", self.config]
        return Process(f"{program} ({self.build.name})", command, log)

    def ingress(self):
        return self._ready(self._start("kefu-ingress"), self.internal)

    def serve(self):
        return self._ready(self._start("kefu", "serve"), self.internal)

    def worker(self):
        """A worker that may be one of several: its internal port is the system's choice."""
        return self._start("kefu-worker")

    def only_worker(self):
        text = self.config.read_text()
        self.config.write_text(text.replace('internal_listen = "127.0.0.1:0"', f'internal_listen = "{self.workers}"'))
        return self._ready(self._start("kefu-worker"), self.workers)

    def _ready(self, process, internal):
        ready = lambda: http(f"http://{internal}/readyz")[0] == 200
        wait_for(f"the start of {process.name}", ready, process)
        return process
