"""Ten small tasks on a real small language model that runs on this machine.

    python3 tasks.py STEAD MODEL_URL OUT.md

STEAD is the server's binary, MODEL_URL an OpenAI-compatible endpoint such as http://127.0.0.1:8091/v1. The model is small:
what is judged is whether the loop works (a tool was called, a file is there, the session came to rest), never the words.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

MODEL = "qwen2.5-coder-1.5b"
KEY = "local-model-tasks"
SYSTEM = "You work on a Linux machine. You must call the bash tool to do what is asked; never answer without having called it, unless told to."

# name, task, what must be true of the events and the files
TASKS = [
    ("kernel", "Run uname -s and tell me its output.", lambda run: run.called("bash")),
    ("count", "Use bash to count the files in /etc with ls and wc.", lambda run: run.called("bash")),
    ("write a file", "Use bash to write the word hello into /workspace/hello.txt", lambda run: run.called("bash", "write")),
    ("sum", "Call the bash tool with the command: echo $((1234*5678))", lambda run: run.called("bash") and run.printed("7006652")),
    ("date", "Use bash to print the current year with date +%Y.", lambda run: run.called("bash") and run.printed("20")),
    ("report", "Call the bash tool with the command: echo done > /mnt/session/outputs/report.txt", lambda run: "report.txt" in run.files()),
    ("sort", "Call the bash tool with the command: printf '3\\n1\\n2\\n' | sort", lambda run: run.called("bash") and run.printed("1\n2\n3")),
    ("failing command", "Call the bash tool with the command: ls /does-not-exist", lambda run: run.called("bash") and run.failed()),
    ("awk", "Call the bash tool with the command: echo '4 5' | awk '{print $1+$2}'", lambda run: run.called("bash") and run.printed("9")),
    ("talk only", "Say hello to me without using any tool.", lambda run: run.spoke()),
]


class Run:
    def __init__(self, server, events):
        self.server, self.events = server, events

    def of(self, kind):
        return [event for event in self.events if event["type"] == kind]

    def called(self, *names):
        return any(event["name"] in names for event in self.of("agent.tool_use"))

    def results(self):
        return "\n".join(block.get("text", "") for event in self.of("agent.tool_result") for block in event["content"])

    def printed(self, text):
        return text in self.results()

    def failed(self):
        return any(event["is_error"] for event in self.of("agent.tool_result"))

    def spoke(self):
        return bool(self.of("agent.message"))

    def files(self):
        listed = self.server.call("GET", f"/v1/files?scope_id={self.session}&limit=100")
        return [file["filename"] for file in listed["data"]]


class Server:
    def __init__(self, url):
        self.url = url

    def call(self, method, path, body=None):
        headers = {
            "x-api-key": KEY,
            "anthropic-version": "2023-06-01",
            "anthropic-beta": "managed-agents-2026-04-01",
            "content-type": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def run(self, task, patience):
        agent = {"name": "local", "model": MODEL, "system": SYSTEM, "tools": [
            {"type": "agent_toolset_20260401", "default_config": {"enabled": False}, "configs": [{"name": "bash", "enabled": True}]},
        ]}
        agent = self.call("POST", "/v1/agents", agent)["id"]
        environment = self.call("POST", "/v1/environments", {"name": "local"})["id"]
        session = self.call("POST", "/v1/sessions", {"agent": agent, "environment_id": environment})["id"]
        message = {"type": "user.message", "content": [{"type": "text", "text": task}]}
        self.call("POST", f"/v1/sessions/{session}/events", {"events": [message]})
        deadline = time.monotonic() + patience
        while self.call("GET", f"/v1/sessions/{session}")["status"] != "idle":
            if time.monotonic() > deadline:
                self.call("POST", f"/v1/sessions/{session}/events", {"events": [{"type": "user.interrupt"}]})
                deadline = time.monotonic() + 60
            time.sleep(0.2)
        run = Run(self, self.call("GET", f"/v1/sessions/{session}/events")["data"])
        run.session = session
        return run


def main(stead, model_url, out):
    with tempfile.TemporaryDirectory() as place:
        with open(os.path.join(place, "stead.toml"), "w") as file:
            file.write(f'[[models]]\nmatch = "{MODEL}"\nprovider = "openai-chat"\nbase_url = "{model_url}"\nmax_tokens = 400\n\n[turn]\nrounds = 8\n')
        listen = "127.0.0.1:18431"
        environment = {"PATH": os.environ["PATH"], "STEAD_LISTEN": listen, "STEAD_DATA_DIR": f"{place}/data", "STEAD_API_KEY": KEY}
        process = subprocess.Popen([os.path.abspath(stead), "serve"], cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server = Server(f"http://{listen}")
        try:
            time.sleep(2)
            rows = []
            for name, task, holds in TASKS:
                begun = time.monotonic()
                run = server.run(task, patience=240)
                seconds = time.monotonic() - begun
                stop = run.of("session.status_idle")[-1]["stop_reason"]["type"]
                good = stop == "end_turn" and holds(run)
                row = f"| {name} | {'yes' if good else 'no'} | {stop} | {len(run.of('span.model_request_end'))} | {len(run.of('agent.tool_use'))} | {seconds:.0f} |"
                print(row, flush=True)
                rows.append(row)
                server.call("DELETE", f"/v1/sessions/{run.session}")
            head = "| task | as wanted | stopped with | model requests | tool calls | seconds |\n|---|---|---|---|---|---|\n"
            with open(out, "w") as file:
                file.write(head + "\n".join(rows) + "\n")
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
