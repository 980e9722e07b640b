"""What texts that are made to hurt may cost, and what becomes of the process that runs math-verify."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from harness.scoring import math_client
from harness.scoring.math_client import Worker, WorkerError, equal, strings_read
from harness.scoring.rewards import REWARDS, Rollout, pay
from harness.scoring.rules import RULES

LONG = 100_000
DEGREES = "turned by 30 degrees"

ENDLESS = {
    "powers": "9**9**9**9",
    "tower": "$9^{9^{9^{9}}}$",
    "factorials": "$((((9!)!)!)!)$",
    "big factorial": "$99999999!$",
    "product": "$\\prod_{n=1}^{10^{12}} n$",
    "sum": "$\\sum_{n=1}^{10^{12}} \\frac{1}{n}$",
    "binomial": "$\\binom{10^9}{5\\cdot10^8}$",
    "much memory": "$10^{10^{10}}$",
}
HOSTILE = {
    "braces": "$" + "{" * LONG + "}" * LONG + "$",
    "fractions": "$" + "\\frac{1}{" * 500 + "1" + "}" * 500 + "$",
    "roots": "$" + "\\sqrt{" * 500 + "2" + "}" * 500 + "$",
    "exponents": "$" + "2^{" * 2000 + "2" + "}" * 2000 + "$",
    "brackets": "(" * LONG,
    "digits": "9" * LONG,
    "numbers": "1 2 3 4 " * (LONG // 8),
    "additions": "1+" * (LONG // 2) + "x",
    "dollars": "$" * LONG,
    "spaced dollars": "$ " * (LONG // 2),
    "open formulas": "\\[" * (LONG // 2),
    "open parentheses": "\\(a" * (LONG // 3),
    "boxes": "\\boxed{" * (LONG // 7),
    "environments": "\\begin{cases}" * (LONG // 13),
    "answers": "The final answer is " * (LONG // 20),
    "tags": "<answer>" * (LONG // 8),
    "tag and blanks": "<answer>" + " " * LONG,
    "tags and newlines": "<answer>\n" * (LONG // 9) + "</answer>",
    "blanks": " " * LONG,
    "zeros": "\0" * LONG,
    "surrogates": "\ud800" * LONG,
}


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_client, "CPU_SECONDS", 0.3)


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_what_would_compute_for_ever_is_given_up(text: str) -> None:
    assert not equal(text, "<answer>7 apples and 30 pears</answer>")
    assert equal("30", "<answer>7 apples and 30 pears</answer>")


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("text", [*ENDLESS.values(), *HOSTILE.values()], ids=[*ENDLESS, *HOSTILE])
def test_hostile_texts_are_scored_without_a_sound(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    for rule in RULES.values():
        assert rule(text, "length", ("left", "right")).extracted is None
    rollout = Rollout(text, "<think>", ("left", DEGREES), DEGREES)
    for name, (parameters, _) in REWARDS.items():
        if name != "random":
            assert pay(name, parameters(), [rollout]) == [0.0]
    assert capfd.readouterr() == ("", "")


def test_the_ends_of_a_long_text_are_read() -> None:
    filler = "so it goes " * (LONG // 11)
    assert strings_read(f"B. {filler}", ["A", "B"]) == ["b", "B"]
    assert strings_read(f"{filler} it is B", ["A", "B"]) == ["b", "B"]
    assert strings_read(f"{filler} B {filler}", ["A", "B"]) == []
    assert equal(f"{filler} 30", f"<answer>{DEGREES}</answer>")


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def asked(worker: Worker) -> bool:
    return worker.ask("B", strings=["A", "B"]) == ["b", "B"]


def process_of(worker: Worker) -> psutil.Process:
    assert worker._process is not None
    return psutil.Process(worker._process.pid)


def test_a_process_that_was_killed_is_replaced(worker: Worker) -> None:
    assert asked(worker)
    first = process_of(worker)
    first.children()[0].kill()
    assert asked(worker)
    second = process_of(worker)
    assert second.pid != first.pid
    second.kill()
    assert asked(worker)


def test_a_text_that_costs_too_much_costs_no_new_process(worker: Worker, short_limit: None) -> None:
    assert asked(worker)
    first = process_of(worker)
    assert worker.ask("9**9**9**9", solution=f"<answer>{DEGREES}</answer>") is None
    assert asked(worker)
    assert process_of(worker).pid == first.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_to_a_whole_job_do_not_end_it(worker: Worker, number: signal.Signals) -> None:
    assert asked(worker)
    process = process_of(worker)
    for each in (process, *process.children()):
        each.send_signal(number)
    assert asked(worker)
    assert process_of(worker).pid == process.pid


def test_threads_may_ask_at_once(worker: Worker) -> None:
    found = []

    def ask(letter: str) -> None:
        for _ in range(50):
            found.append(worker.ask(letter, strings=["A", "B", "C", "D"]) == [letter.lower(), letter])

    threads = [threading.Thread(target=ask, args=[letter]) for letter in "ABCD"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 200


def test_a_forked_process_has_a_worker_of_its_own() -> None:
    assert strings_read("B", ["A", "B"]) == ["b", "B"]
    child = os.fork()
    if child == 0:
        os._exit(0 if strings_read("A", ["A", "B"]) == ["a", "A"] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert strings_read("B", ["A", "B"]) == ["b", "B"]


def test_it_ends_with_the_process_that_started_it() -> None:
    code = (
        "import sys; from harness.scoring import math_client as client; client.strings_read('B', ['B']);"
        "print(client._worker._process.pid, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    worker = psutil.Process(int(owner.stdout.readline()))
    processes = [worker, *worker.children()]
    assert len(processes) == 2
    owner.kill()
    owner.communicate()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive


def test_a_process_that_can_not_be_kept_is_an_error(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends_at_once() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", ""], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(math_client, "_start", ends_at_once)
    with pytest.raises(WorkerError, match="see that math-verify is installed"):
        asked(worker)


def test_an_interrupted_question_spoils_no_later_one(worker: Worker) -> None:
    def stop(number: int, frame: object) -> None:
        raise InterruptedError

    def ask_and_be_interrupted() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        worker.ask("9**9**9**9", solution=f"<answer>{DEGREES}</answer>")

    assert asked(worker)
    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(InterruptedError):
            ask_and_be_interrupted()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert asked(worker)
