"""What users give on the command line and in the environment, and what comes of it."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.settings import (
    TABLE,
    FlowControl,
    NotificationMode,
    ServiceQueue,
    Setting,
    Settings,
    SettingsError,
    State,
    page,
)
from broker.settings.flags import read_given

ROOT = Path(__file__).parents[3]
OWN = [row for row in TABLE if row.state is not State.IGNORED]
IGNORED = [row for row in TABLE if row.state is State.IGNORED]


def load(*argv: str, **environ: str) -> Settings:
    return Settings.load(argv, environ)


def named(row: Setting) -> str:
    return row.name or row.flags[0]


def test_nothing_given_is_the_defaults() -> None:
    assert load() == Settings()
    assert load().port == 1026
    assert load().http_timeout_ms == 5000
    assert load().ignored == ()


def test_orion_spelling_and_kebab_spelling_are_one_setting() -> None:
    assert load("-port", "5057").port == 5057
    assert load("--port", "5057").port == 5057
    assert load("-port=5057").port == 5057
    assert load("-inReqPayloadMaxSize", "2048").request_max_bytes == 2048
    assert load("--request-max-bytes", "2048").request_max_bytes == 2048


def test_a_command_line_of_an_orion_container() -> None:
    settings = load(
        *("-fg", "-multiservice", "-ipv4", "-disableFileLog", "-dbhost", "mongo"),
        *("-logLevel", "DEBUG", "-t", "0-255", "-notificationMode", "threadpool:200:20"),
        *("-corsOrigin", "__ALL", "-httpTimeout", "-1"),
    )
    assert settings.foreground
    assert settings.multiservice
    assert settings.disable_file_log
    assert settings.listen_addresses == ("0.0.0.0",)
    assert settings.log_level == "DEBUG"
    assert settings.trace_levels == frozenset(range(256))
    assert settings.notification_mode == NotificationMode("threadpool", 200, 20)
    assert settings.cors_origin == "__ALL"
    assert settings.http_timeout_ms == 5000


def test_flag_wins_over_rigel_variable_and_that_over_orion_variable() -> None:
    assert load(ORION_PORT="1").port == 1
    assert load(ORION_PORT="1", RIGEL_PORT="2").port == 2
    assert load("-port", "3", ORION_PORT="1", RIGEL_PORT="2").port == 3


def test_last_of_two_flags_wins() -> None:
    assert load("-port", "1", "--port", "2").port == 2


def test_empty_variable_counts_as_absent() -> None:
    assert load(RIGEL_PORT="", ORION_PORT="7").port == 7


@pytest.mark.parametrize(
    ("text", "value"), [("TRUE", True), ("true", True), ("FALSE", False), ("false", False)]
)
def test_switches_in_the_environment(text: str, value: bool) -> None:
    assert load(ORION_MULTI_SERVICE=text).multiservice is value


@pytest.mark.parametrize("text", ["True", "yes", "1", "on"])
def test_other_words_for_switches_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"ORION_MULTI_SERVICE: .*TRUE, true, FALSE or false"):
        load(ORION_MULTI_SERVICE=text)


def test_a_switch_of_the_environment_can_be_put_off() -> None:
    assert not load("--no-multiservice", ORION_MULTI_SERVICE="TRUE").multiservice


@pytest.mark.parametrize("flag", ["--prt", "-por", "-mult", "-portx", "-t5", "--multi", "-p"])
def test_unknown_and_shortened_flags_are_refused(flag: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown flag '{flag}'"):
        load(flag, "1")


def test_a_near_miss_gets_a_hint() -> None:
    with pytest.raises(SettingsError, match="is -multiservice meant"):
        load("-multiservices")


def test_a_stray_word_is_refused() -> None:
    with pytest.raises(SettingsError, match="'start' belongs to no flag"):
        load("start")


def test_a_flag_without_its_value_is_refused() -> None:
    with pytest.raises(SettingsError, match="-port"):
        load("-port")


@pytest.mark.parametrize("text", ["65536", "-1", "x", "1.5", "1_000", "٣", "9" * 30, " 1"])
def test_bad_numbers_name_setting_value_and_bounds(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load("-port", text)
    assert str(caught.value) == f"-port/--port: {text!r} is not a whole number from 0 to 65535"


def test_out_of_bounds_in_the_environment_names_the_variable() -> None:
    with pytest.raises(SettingsError, match=r"ORION_LOG_LINE_MAX_SIZE: '99' is not .*from 100"):
        load(ORION_LOG_LINE_MAX_SIZE="99")


def test_kubernetes_service_links_are_named_as_such() -> None:
    with pytest.raises(SettingsError, match="enableServiceLinks"):
        load(ORION_PORT="tcp://10.0.0.1:1026")


def test_choices_are_taken_in_any_case_and_named_when_wrong() -> None:
    assert load("-logLevel", "debug").log_level == "DEBUG"
    assert load("--durability", "power").durability == "power"
    with pytest.raises(SettingsError, match="one of none, process, power"):
        load("--durability", "always")


def test_paths_keep_their_case_and_control_characters_are_refused() -> None:
    assert load("--data-dir", "/Data Dir/é").data_dir == "/Data Dir/é"
    with pytest.raises(SettingsError, match="--data-dir"):
        load("--data-dir", "a\nb")


@pytest.mark.parametrize(
    ("text", "timeout_ms"), [("-1", 5000), ("0", 1_800_000), ("1", 1), ("1800000", 1_800_000)]
)
def test_timeouts_as_orion_means_them(text: str, timeout_ms: int) -> None:
    assert load("-httpTimeout", text).http_timeout_ms == timeout_ms
    assert load(ORION_MQTT_TIMEOUT=text).mqtt_timeout_ms == timeout_ms


@pytest.mark.parametrize("text", ["-2", "1800001", ""])
def test_timeouts_out_of_bounds(text: str) -> None:
    with pytest.raises(SettingsError, match="-httpTimeout"):
        load("-httpTimeout", text)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("transient", NotificationMode("transient")),
        ("persistent", NotificationMode("persistent")),
        ("threadpool", NotificationMode("threadpool", 100, 10)),
        ("threadpool:1:2", NotificationMode("threadpool", 1, 2)),
        (
            "threadpool:10:20,S1:3:4,s_2:5:6",
            NotificationMode(
                "threadpool", 10, 20, (ServiceQueue("s1", 3, 4), ServiceQueue("s_2", 5, 6))
            ),
        ),
    ],
)
def test_notification_modes(text: str, mode: NotificationMode) -> None:
    assert load("-notificationMode", text).notification_mode == mode
    assert load("-notificationMode", str(mode)).notification_mode == mode


@pytest.mark.parametrize(
    "text",
    [
        *("", "pool", "threadpool:", "threadpool:1", "threadpool:0:1", "threadpool:1:0"),
        *("threadpool:1:2:3", "transient:1:2", "transient,s:1:2", "threadpool:1:2,s:1"),
        *("threadpool:1:2,s:1:1,S:2:2", "threadpool:1:2,a-b:1:1", "threadpool:1:1001"),
    ],
)
def test_bad_notification_modes(text: str) -> None:
    with pytest.raises(SettingsError, match="-notificationMode"):
        load("-notificationMode", text)


def test_flow_control_needs_threadpool() -> None:
    flow = ("-notifFlowControl", "0.5:100:1000")
    settings = load(*flow, "-notificationMode", "threadpool")
    assert settings.flow_control == FlowControl(0.5, 100, 1000)
    with pytest.raises(SettingsError, match="-notifFlowControl needs"):
        load(*flow)


@pytest.mark.parametrize("text", ["1:1", "1.1:1:1", "2:1:1", "nan:1:1", "1:0:1", "1:1:0", "x"])
def test_bad_flow_control(text: str) -> None:
    with pytest.raises(SettingsError, match="-notifFlowControl"):
        load("-notifFlowControl", text, "-notificationMode", "threadpool")


def test_trace_levels() -> None:
    debug = ("-logLevel", "DEBUG")
    assert load("-t", "60,80-82", *debug).trace_levels == {60, 80, 81, 82}
    with pytest.raises(SettingsError, match="-logLevel DEBUG"):
        load("-t", "60")


@pytest.mark.parametrize("text", ["256", "5-4", "1,", "a", "1-", "-1"])
def test_bad_trace_levels(text: str) -> None:
    with pytest.raises(SettingsError, match="-t"):
        load("-t", text, "-logLevel", "DEBUG")


def test_addresses_to_listen_on() -> None:
    assert load().listen_addresses == ("0.0.0.0", "::")
    assert load("-ipv4").listen_addresses == ("0.0.0.0",)
    assert load("-ipv6").listen_addresses == ("::",)
    assert load("-localIp", "::").listen_addresses == ("::",)
    assert load("-localIp", "127.0.0.1").listen_addresses == ("127.0.0.1",)
    assert load("-localIp", "::1", "-ipv6").listen_addresses == ("::1",)


@pytest.mark.parametrize(
    "argv",
    [
        ("-ipv4", "-ipv6"),
        ("-localIp", "::1", "-ipv4"),
        ("-localIp", "127.0.0.1", "-ipv6"),
        ("-localIp", "localhost"),
    ],
)
def test_addresses_that_contradict(argv: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=r"-ip|-localIp"):
        load(*argv)


@pytest.mark.parametrize("row", IGNORED, ids=named)
def test_flags_of_orion_without_counterpart_get_one_note(row: Setting) -> None:
    argv = row.flags if row.is_switch else (*row.flags, "50")
    settings = load(*argv)
    (note,) = settings.ignored
    assert note.startswith(f"{row.flags[0]} is accepted and has no effect")
    assert replace(settings, ignored=()) == Settings()
    (note,) = load(**{row.variables[0]: "TRUE"}).ignored
    assert note.startswith(row.variables[0])


def test_notes_never_hold_a_value() -> None:
    settings = load("-dbpwd", "s3cret", "-dbURI", "mongodb://u:s3cret@h", ORION_MONGO_USER="s3cret")
    assert len(settings.ignored) == 3
    assert "s3cret" not in repr(settings)


def test_what_has_no_effect_yet_is_noted() -> None:
    row = Setting(default=False, help="do it", name="it", orion="-it ORION_IT", state=State.LATER)
    values, notes = read_given([row], ["-it"], {})
    assert values == {"it": True}
    assert notes == ("-it/--it is accepted and has no effect yet: do it",)
    assert read_given([row], [], {"ORION_IT": "FALSE"}) == ({"it": False}, ())


def test_misspelt_variables_are_noted_and_service_links_are_not() -> None:
    settings = load(RIGEL_PRT="1", RIGEL_SERVICE_HOST="10.0.0.1", RIGEL_PORT_1026_TCP="x", A="b")
    assert settings.ignored == ("RIGEL_PRT is no setting, and has no effect",)


def test_programs_are_held_to_the_same_bounds() -> None:
    assert Settings(port=0, durability="none").port == 0
    with pytest.raises(SettingsError, match="port: 70000 is not a whole number from 0 to 65535"):
        Settings(port=70000)
    with pytest.raises(SettingsError, match="local_ip"):
        Settings(local_ip="somewhere")
    with pytest.raises(SettingsError, match="port: True"):
        Settings(port=True)


@pytest.mark.parametrize("row", OWN, ids=named)
def test_every_default_is_allowed(row: Setting) -> None:
    if row.default is not None:
        row.check(row.default)


@pytest.mark.parametrize("row", [row for row in OWN if row.bounds != (None, None)], ids=named)
def test_bounds_hold_at_both_ends(row: Setting) -> None:
    for bound, beyond in zip(row.bounds, (-1, 1), strict=True):
        if bound is not None:
            row.check(bound)
            with pytest.raises(SettingsError, match=row.name):
                row.check(bound + beyond)


def test_no_flag_and_no_variable_means_two_things() -> None:
    flags = [flag for row in TABLE for flag in row.flags + row.negation]
    variables = [variable for row in TABLE for variable in row.variables]
    assert len(flags) == len(set(flags))
    assert len(variables) == len(set(variables))


@given(st.sampled_from(OWN), st.text(max_size=20))
def test_any_text_gives_a_value_that_is_allowed_or_an_error_that_names_it(
    row: Setting, text: str
) -> None:
    try:
        row.check(row.read(text, "here"))
        complaint = ""
    except SettingsError as error:
        complaint = str(error)
    assert not complaint or complaint.startswith("here: ")
    assert complaint.splitlines() in ([], [complaint])


def names_read_from_settings(folder: Path) -> set[str]:
    """Attributes of anything called `settings` or `_settings` in the modules of a folder."""
    nodes = (
        node
        for path in folder.rglob("*.py")
        if "settings" not in path.relative_to(folder).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name | ast.Attribute)
        and ast.unparse(node.value).endswith("settings")
    }


def test_states_tell_what_the_broker_does() -> None:
    """A setting that nothing reads has no effect, and one that is read has one."""
    read = names_read_from_settings(ROOT / "broker")
    if "listen_addresses" in read:
        read |= {"local_ip", "ipv4", "ipv6"}
    if "meets_fogflow" in read:
        read.add("fogflow")
    active = {row.name for row in OWN if row.state is State.ACTIVE}
    waiting = {row.name for row in OWN if row.state is not State.ACTIVE}
    assert active - read == set(), "these are said to work, and nothing reads them"
    assert waiting & read == set(), "these are read, and said to have no effect"


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--help", "-u", "-U"):
        with pytest.raises(SystemExit) as caught:
            load(flag)
        assert caught.value.code == 0
        text = capsys.readouterr().out
        assert all(flag in text for row in TABLE for flag in row.flags)


def test_the_page_of_settings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == page.describe(), "run: rigel settings --markdown > docs/settings.md"


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert page.main(["--markdown"]) == 0
    assert capsys.readouterr().out == page.describe()
    assert page.main([]) == 0
    assert "--port" in capsys.readouterr().out
    assert page.main(["--html"]) == 2
    assert "'--html'" in capsys.readouterr().err
