import shutil
from pathlib import Path

import pytest

from lab_code.config import (
    CONF_FOLDER,
    UnknownChoiceError,
    compose_config,
    config_to_yaml,
    expand_sweep,
    flatten_config,
    known_choices,
    load_config,
)
from lab_code.errors import LabError
from lab_code.limits import is_name, plain_name

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture
def full_conf(tmp_path: Path) -> Path:
    """conf/ as it is when every stage is open."""
    shutil.copytree(CONF_FOLDER, tmp_path / "conf")
    for stage in sorted((PROJECT / "locked").iterdir()):
        if (stage / "lab_code" / "conf").is_dir():
            shutil.copytree(stage / "lab_code" / "conf", tmp_path / "conf", dirs_exist_ok=True)
    return tmp_path / "conf"


def test_the_default_composes_without_any_change() -> None:
    config = compose_config()
    assert (config.name, config.seed, config.optimizer.name) == ("default", 0, "adamw")


def test_a_change_on_the_command_line_wins() -> None:
    assert compose_config(["trainer.epochs=3"]).trainer.epochs == 3


def test_a_group_takes_all_values_of_its_file() -> None:
    assert compose_config(["optimizer=sgd"]).optimizer.lr == 0.001


def test_a_key_the_chosen_file_leaves_out_may_be_set() -> None:
    assert compose_config(["model.penalty=2"]).model.penalty == 2


@pytest.mark.parametrize(
    ("name", "optimizer", "loss", "schedule"),
    [
        ("baseline", "sgd", "cross_entropy", "constant"),
        ("balanced", "adamw", "weighted_cross_entropy", "one_cycle"),
        ("focal", "adamw", "focal", "one_cycle"),
    ],
)
def test_every_experiment_composes(full_conf: Path, name: str, optimizer: str, loss: str, schedule: str) -> None:
    config = compose_config([f"experiment={name}"], full_conf)
    assert (config.name, config.optimizer.name) == (name, optimizer)
    assert (config.loss.name, config.trainer.schedule) == (loss, schedule)


def test_a_change_wins_over_the_experiment(full_conf: Path) -> None:
    config = compose_config(["experiment=balanced", "loss=cross_entropy", "name=mine"], full_conf)
    assert (config.name, config.loss.name, config.optimizer.name) == ("mine", "cross_entropy", "adamw")


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("trainr.epochs=3", "there is no key 'trainr.epochs'", "did you mean 'trainer.epochs'?"),
        ("trainer.epoch=3", "there is no key 'trainer.epoch'", "did you mean 'trainer.epochs'?"),
        ("epochs=3", "there is no key 'epochs'", "did you mean 'trainer.epochs'?"),
        ("trainer.epochs=x", "trainer.epochs", "trainer.batch_size"),
        ("trainer.epochs=2.5", "trainer.epochs", "trainer.batch_size"),
        ("trainer.epochs=0", "trainer.epochs is 0, but must be from 1 to 1000", "write trainer.epochs="),
        ("optimizer.lr=-1", "optimizer.lr is -1.0", "write optimizer.lr="),
        ("data.augment=flip", "data.augment is 'flip', but must be none or flips", "write data.augment="),
        ("data.sampling=even", "data.sampling is 'even', but must be natural or balanced", "write data.sampling="),
        ("data.on_fault=ignore", "data.on_fault is 'ignore', but must be stop or leave_out", "write data.on_fault="),
        ("data.image_size=8", "data.image_size is 8, but must be from 16 to 512", "write data.image_size="),
        ("data.validation_fraction=1", "but must be between 0 and 1", "write data.validation_fraction="),
        ("model.stem=5x5", "model.stem is '5x5', but must be 7x7 or 3x3", "write model.stem="),
        ("model.penalty=0", "model.penalty is 0.0, but must be more than 0", "write model.penalty="),
        ("model.wieghts=a.pth", "there is no key 'model.wieghts'", "did you mean 'model.weights'?"),
        ("trainer.patience=-1", "trainer.patience is -1, but must be 0 (off) or more", "write trainer.patience="),
        ("trainer.patience=soon", "trainer.patience", "trainer.epochs"),
        (
            "trainer.clip_norm=-0.1",
            "trainer.clip_norm is -0.1, but must be 0 (off) or more",
            "write trainer.clip_norm=",
        ),
        ("trainer.precision=half", "must be auto, float32 or bfloat16", "write trainer.precision="),
        ("trainer.threads=300", "trainer.threads is 300, but must be from 0 (all cores)", "write trainer.threads="),
        ("trainer.device=gpu", "trainer.device is 'gpu', but must be auto, cpu, cuda or mps", "write trainer.device="),
        ("seed=-1", "seed is -1, but must be 0 or more", "write seed="),
        ("trainer.patience=10", "trainer.patience is 10, not below trainer.epochs 10", "set it to 0"),
        ("optimizer.momentum=0.9", "adamw has no momentum of that kind", "optimizer=sgd"),
        ("loss.gamma=2", "the loss cross_entropy has none", "loss=focal"),
        ("loss.weight_power=1", "cross_entropy counts every photograph the same", "loss=weighted_cross_entropy"),
        ("framework=keras", "framework 'keras' does not exist", "framework can be: pytorch, sklearn, tensorflow"),
        ("trainer.epochs", "each change is written key=value", "experiment=baseline"),
        ("=3", "each change is written key=value", "experiment=baseline"),
        ("+new=3", "cannot be used here", "key=value"),
        ("~loss", "cannot be used here", "key=value"),
        ("trainer.epochs=1,2", "cannot be used here", "key=value"),
    ],
)
def test_a_wrong_change_says_what_is_wrong_and_what_exists(override: str, message: str, hint: str) -> None:
    with pytest.raises(LabError) as caught:
        compose_config([override])
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_an_unknown_choice_lists_the_known_ones() -> None:
    with pytest.raises(UnknownChoiceError) as caught:
        compose_config(["optimizer=adam"])
    assert (caught.value.group, caught.value.choice) == ("optimizer", "adam")
    assert caught.value.hint == "did you mean 'adamw'? optimizer can be: adamw, sgd"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["expirement=baseline"], "did you mean 'experiment'?"),
        (["Experiment=baseline"], "did you mean 'experiment'?"),
        (["experiment = balanced"], "did you mean: experiment=balanced"),
        (["experiment", "balanced"], "did you mean: experiment=balanced"),
        (["--experiment=balanced"], "did you mean: experiment=balanced"),
        (["--epochs", "3"], "did you mean: trainer.epochs=3"),
        (["experiment=Balanced"], "did you mean 'balanced'?"),
        (["experiment=balnced"], "did you mean 'balanced'?"),
        (["loss=cross-entropy"], "did you mean 'cross_entropy'?"),
        (["loss=Cross", "Entropy"], "did you mean: loss=cross_entropy"),
        (["learing_rate=0.1"], "did you mean 'optimizer.lr'?"),
        (["Learning-Rate=0.1"], "did you mean 'optimizer.lr'?"),
        (["optimizer.learning_rate=0.1"], "did you mean 'optimizer.lr'?"),
        (["optimizer.LR=0.1"], "did you mean 'optimizer.lr'?"),
        (["batch-size=32"], "did you mean 'trainer.batch_size'?"),
        (["trainer.batchsize=32"], "did you mean 'trainer.batch_size'?"),
        (["width=32"], "did you mean 'model.width'?"),
        (["modle=resnet18"], "did you mean 'model'?"),
        (["model=resnet", "18"], "did you mean: model=resnet18"),
        (["name=my", "best", "run"], "did you mean: name=my-best-run"),
        (["name", "=", "mine", "seed=1"], "did you mean: name=mine seed=1"),
        (["colour=red"], "keys: "),
    ],
)
def test_a_near_miss_says_what_was_meant(full_conf: Path, typed: list[str], meant: str) -> None:
    with pytest.raises(LabError) as caught:
        compose_config(typed, full_conf)
    assert (caught.value.hint or "").startswith(meant), caught.value.hint


def test_an_experiment_is_unknown_while_no_lock_is_open() -> None:
    with pytest.raises(UnknownChoiceError, match="experiment 'baseline' does not exist"):
        compose_config(["experiment=baseline"])


@pytest.mark.parametrize("text", ["epochs: [", "epochs: 3\n epochs: 4\n", "\tepochs: 3"])
def test_broken_yaml_is_an_error_without_traceback(full_conf: Path, text: str) -> None:
    (full_conf / "trainer" / "default.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(LabError):
        compose_config([], full_conf)


def test_a_key_removed_from_a_file_is_named(full_conf: Path) -> None:
    file = full_conf / "trainer" / "default.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("epochs:", "# epochs:"), encoding="utf-8")
    with pytest.raises(LabError, match="epochs"):
        compose_config([], full_conf)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        compose_config().trainer.epochs = 3  # type: ignore[misc]


def test_the_logged_configuration_rebuilds_the_same(tmp_path: Path) -> None:
    config = compose_config(["seed=0", "trainer.epochs=4", "optimizer.lr=1e-3"])
    (tmp_path / "config.yaml").write_text(config_to_yaml(config), encoding="utf-8")
    assert load_config(tmp_path / "config.yaml") == config


def test_a_missing_logged_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"config\.yaml"):
        load_config(tmp_path / "config.yaml")


def test_flat_keys_are_dotted() -> None:
    flat = flatten_config(compose_config())
    assert flat["trainer.epochs"] == 10 and flat["seed"] == 0 and "trainer" not in flat


def test_choices_are_the_files_of_a_group() -> None:
    assert known_choices("optimizer") == ["adamw", "sgd"]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("a/b", "holds / ,"),
        ("..", "begins or ends with a blank or a dot"),
        ("../../x", "holds / ,"),
        ("C:\\x", r"holds : \\ ,"),
        ("<b>", "holds < > ,"),
        ("a*b?", r"holds \* \? ,"),
        ('"mine"', 'holds " ,'),
        ("x" * 101, "has 101 characters, at most 100"),
        ("x" * 300, "has 300 characters, at most 100"),
        ("", "is empty"),
        (" ", "begins or ends with a blank"),
        (" a", "begins or ends with a blank"),
        ("a.", "begins or ends with a blank or a dot"),
        ("CON", r"is Windows' name of a device \(CON\)"),
        ("nul.txt", r"is Windows' name of a device \(NUL\)"),
        ("com1", r"is Windows' name of a device \(COM1\)"),
        ("a\nb", r"holds the character U\+000A"),
        ("\x1b[31mred", r"holds the character U\+001B"),
        ("\udcff", r"holds the character U\+DCFF"),
        ("${seed}", r"holds \$\{ ,"),
    ],
)
def test_a_name_that_no_file_and_no_table_can_bear_is_refused_with_its_rule(name: str, rule: str) -> None:
    with pytest.raises(LabError, match=f"^name is .*: it {rule}") as refused:
        compose_config([f"name={name}"])
    assert "1 to 100 characters" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "name",
    [
        "baseline", "lr-0.001", "unsere Beste", "zweiter_Versuch", "x" * 100, "\u00fcn\u00ef", "a'b", "'a'",
        "gr\u00f6\u00dfe", "true", "no", "1e3", "007", "0x1f", "1_000", "12-30", "null", "~", "None", "2024-01-02",
        "a,b", "a=b", "[a]", "{a}", "{" * 100, "$HOME", "a#b", "#1", "- a", "&a", "!a", "%a", "@a", "range(0,2)",
        "\u0444\u043e\u0442\u043e", "\U0001f600",
    ],
)  # fmt: skip
def test_any_other_name_is_kept_as_it_is_typed(tmp_path: Path, name: str) -> None:
    config = compose_config(["seed=1", f"name={name}"])
    assert config.name == name and config.seed == 1
    (tmp_path / "config.yaml").write_text(config_to_yaml(config), encoding="utf-8")
    assert load_config(tmp_path / "config.yaml") == config
    assert expand_sweep(["seed=1,2", f"name={name}"]) == [[f"seed={seed}", f"name={name}"] for seed in (1, 2)]


def test_a_name_is_one_however_its_letters_are_composed() -> None:
    assert compose_config(["name=gro\u0308\u00dfe"]).name == "gr\u00f6\u00dfe"


@pytest.mark.parametrize("folder", ["Gr\u00f6\u00dfe/it's", "true", "1e3", "C:\\data", "a, b", "'data'", "data"])
def test_a_folder_is_taken_as_it_is_typed(folder: str) -> None:
    changes = [f"data.folder={folder}", f"model.weights={folder}"]
    config = compose_config(changes)
    assert config.data.folder == config.model.weights == folder.strip("'")


@pytest.mark.parametrize("change", ["data.folder=${oc.env:HOME}", "model.weights=${seed}"])
def test_a_text_never_stands_for_something_else(change: str) -> None:
    with pytest.raises(LabError, match=r"but \$\{ means something"):
        compose_config([change])


@pytest.mark.parametrize("text", ["a/b", "..", "x" * 300, "", " ", "CON", "a\nb", "\U0001f600", "ok", "ä.ö", "C:\\x"])
def test_a_plain_name_is_a_file_on_any_system(text: str) -> None:
    plain = plain_name(text, 60)
    assert is_name(plain) and 1 <= len(plain) <= 60 and plain_name(plain, 60) == plain
