"""Which code a cell's key covers: modules by their source, and what counts as another source."""

from __future__ import annotations

import ast
import importlib
import sys
import types

import pytest

from testbed.planning import code, contents, loaded, origin, source
from testbed.planning.source import imports, normalised_digest

FORMULA = '''
"""A docstring."""
from shelf.helper import scale

def law(t):
    """Says what it does."""
    return scale(t) + 1.0
'''


def digest(text):
    return normalised_digest(ast.parse(text))


@pytest.mark.parametrize(
    "edit",
    [
        ("return scale(t) + 1.0", "# a comment\n    return (scale(t)\n            + 1.0)"),
        ('"""Says what it does."""', '"""Says it better."""'),
        ('"""A docstring."""', ""),
        ("1.0", "1.00"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(edit):
    assert digest(FORMULA.replace(*edit)) == digest(FORMULA)


@pytest.mark.parametrize(
    "edit", [("1.0", "1.5"), ("+ 1.0", "- 1.0"), ("1.0", "1"), ("scale(t)", "scale(t, 2)")]
)
def test_formulas_and_constants_count(edit):
    assert digest(FORMULA.replace(*edit)) != digest(FORMULA)


def test_the_help_of_a_parameter_is_documentation_and_its_default_is_not():
    text = 'class A:\n    rate: float = parameter(0.5, help="decay", gt=0)\n'
    assert digest(text) == digest(text.replace("decay", "rate of decay"))
    assert digest(text) != digest(text.replace("0.5", "0.6"))
    assert digest('x = f("a", help="b")') != digest('x = f("a", help="c")')


def test_imports_are_found_in_functions_and_not_for_type_checkers():
    text = (
        "import a.b\nimport c.d as e\nfrom . import f\nfrom ..g import h\n"
        "if TYPE_CHECKING:\n    import never\nelse:\n    import always\n"
        "def inside():\n    import late\n    importlib.import_module('literal.name')\n"
    )
    result = set(imports(ast.parse(text), "top.package"))
    inside = {"top.package.f", "top.g.h", "always", "late", "literal.name"}
    assert result == {"a.b", "a", "c.d", *inside}


# --- modules ------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A package with a component, a helper that it imports, and a module that it does not."""
    package = tmp_path / "shelf"
    package.mkdir()
    (package / "__init__.py").write_text("UNREAD = 1\n")
    (package / "helper.py").write_text("def scale(t):\n    return 0.5 * t\n")
    (package / "unread.py").write_text("def other(t):\n    return t\n")
    (tmp_path / "beside.py").write_text("FACTOR = 1.0\n")
    (package / "law.py").write_text(
        "import numpy, sklearn\n"
        "from testbed import Model\nfrom testbed.numerics import filters\n"
        "from shelf.helper import scale\n"
        "class Law(Model):\n    name = 'shelf.law'\n"
        "    def value(self):\n        import beside\n        return beside.FACTOR\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("shelf", "shelf.law", "shelf.helper", "beside"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    source.refresh()
    yield package, importlib.import_module("shelf.law").Law
    for name in [name for name in sys.modules if name.partition(".")[0] in ("shelf", "beside")]:
        del sys.modules[name]


def origin_now(law):
    source.refresh()
    return origin.origin_of([law])


def edit(file, before, after):
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def loaded_again():
    """The component, as a fresh process would load it."""
    for name in ("shelf.helper", "shelf.law"):
        sys.modules.pop(name)
    return importlib.import_module("shelf.law").Law


def test_a_component_depends_on_what_its_module_imports(shelf):
    _, law = shelf
    modules = set(code.code_of(law))
    assert {"shelf.law", "shelf.helper", "beside", "testbed.numerics.filters"} <= modules
    assert not {"shelf", "shelf.unread"} & modules
    assert not any(name.startswith(("numpy", "sklearn")) for name in modules)
    assert {"numpy", "scipy", "torch", "scikit-learn"} <= set(code.versions_for(code.code_of(law)))


EDITS = [
    ("law.py", "beside.FACTOR", "beside.FACTOR + 1", True),
    ("helper.py", "0.5", "2.0", True),
    ("../beside.py", "1.0", "2.0", True),
    ("helper.py", "return", "# why\n    return", False),
    ("unread.py", "return t", "return 2 * t", False),
]


@pytest.mark.parametrize(("file", "before", "after", "counts"), EDITS)
def test_edits_that_count_change_the_digest_and_name_the_module(shelf, file, before, after, counts):
    package, law = shelf
    earlier = origin_now(law)
    edit(package / file, before, after)
    later = origin_now(loaded_again())
    assert (later.code_digest() != earlier.code_digest()) is counts
    name = file.removesuffix(".py").removeprefix("../")
    told = [f"{name if '..' in file else f'shelf.{name}'} changed"] if counts else []
    assert later.changes_since(earlier) == told


@pytest.mark.parametrize(("file", "before", "after", "counts"), EDITS)
def test_a_function_that_is_not_the_one_on_disk_makes_no_numbers(
    shelf, file, before, after, counts
):
    """In a notebook, modules stay as they were when they were imported."""
    package, law = shelf
    edit(package / file, before, after)
    if counts and file != "../beside.py":  # which this process has not loaded
        with pytest.raises(loaded.CodeChangedError, match=rf"{file}: found that .* has changed"):
            origin_now(law)
        if file == "law.py":
            loaded_again()
            with pytest.raises(loaded.CodeChangedError, match=r"Law\.value has changed"):
                origin_now(law)  # the class of the time before
    else:
        origin_now(law)


def test_what_other_modules_do_to_a_process_does_not_count(shelf, monkeypatch, tmp_path):
    """Another path, a module loaded or not, what was asked before: the digest stays."""
    _, law = shelf
    before = origin_now(law)
    second = tmp_path / "elsewhere"
    (second / "extra").mkdir(parents=True)
    (second / "extra" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(second)
    for name in ("extra", "beside", "shelf.unread"):
        importlib.import_module(name)
    assert origin_now(law) == before
    code.code_of(law)
    assert origin_now(law) == before


def test_a_plugin_installed_while_the_process_runs_is_one(shelf, monkeypatch, tmp_path):
    """Answers from before the installation are forgotten, so that keys are those of a fresh
    process."""
    _, law = shelf
    before = origin_now(law)
    assert "shelf" not in code.plugin_packages()
    information = tmp_path / "site" / "shelf-2.5.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 2.5\n")
    (information / "entry_points.txt").write_text("[testbed.plugins]\nshelf = shelf.law\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    after = origin_now(law)
    assert after.distributions["shelf"] == "2.5"
    assert after.code_digest() != before.code_digest()


def test_public_names_of_testbed_lead_to_the_modules_that_define_them(shelf):
    """A formula of a layer that plugins build on counts, however they name it."""
    package, _ = shelf
    law = package / "law.py"
    for text in (
        "from testbed import KernelModel\nclass Law:\n    base = KernelModel\n",
        "import testbed\nclass Law(testbed.KernelModel):\n    name = 'shelf.law'\n",
        "import testbed as t\nclass Law:\n    def value(self):\n        return t.KernelModel\n",
    ):
        law.write_text(text)
        sys.modules.pop("shelf.law")
        source.refresh()
        modules = code.code_of(importlib.import_module("shelf.law").Law)
        assert "testbed.layers.kernel_model" in modules, text
        assert "testbed" not in modules


def test_a_library_beside_a_plugin_stays_a_library(shelf, monkeypatch):
    """As in an environment where both are installed, with modules that have no file: torch makes
    `torch.ops` by hand and gives it the file "_ops.py"."""
    package, _ = shelf
    library = package.parent / "library"
    library.mkdir()
    (library / "__init__.py").write_text("")
    monkeypatch.setattr(code, "library_folders", lambda: (package.parent,))
    law = package / "law.py"
    law.write_text("import library.ops\nclass Law:\n    pass\n")
    made = types.ModuleType("library.ops")
    made.__file__ = "_ops.py"
    monkeypatch.setitem(sys.modules, "library.ops", made)
    sys.modules.pop("shelf.law")
    law_class = importlib.import_module("shelf.law").Law
    monkeypatch.setattr(code, "plugin_packages", lambda: {"shelf": "shelf"})
    source.refresh()
    assert set(code.code_of(law_class)) == {"shelf.law"}


def test_a_base_class_in_another_module_counts(shelf):
    _, law = shelf

    class Derived(law):
        pass

    assert "shelf.helper" in code.code_of(Derived)


def test_a_class_without_a_file_is_known_by_what_it_compiles_to():
    def made(constant):
        space = {"__name__": "nowhere_to_be_found"}
        exec(f"class Law:\n    def value(self):\n        return {constant}\n", space)
        return code.code_of(space["Law"])

    assert list(made(1.0)) == ["nowhere_to_be_found.Law"]
    assert made(1.0) == made(1.0) != made(2.0)


def test_core_counts_where_it_makes_numbers():
    modules = set(code.core_code())
    assert {"testbed.running.execute", "testbed.contract.seeds"} <= modules
    assert not modules & {"testbed.errors", "testbed.running.executors", "testbed.contract.names"}
    assert not any(name.startswith("testbed.planning") for name in modules)


def test_other_libraries_are_told_apart_and_python_is_not():
    then = origin.Origin(libraries={"python": "3.11", "numpy": "1", "torch": "2"})
    now = origin.Origin(libraries={"python": "3.12", "numpy": "2", "torch": "2"})
    assert now.other_libraries(then) == {"numpy": ("1", "2")}
    assert origin.origin_from(then.text()) == then


# --- data ---------------------------------------------------------------------------------------


def test_a_folder_is_known_by_what_its_files_hold(tmp_path):
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    file = folder / "deep" / "batch.bin"
    file.write_bytes(b"1234")
    before = contents.contents(folder)
    file.write_bytes(b"4321")  # as long as before
    after = contents.contents(folder)
    assert before != after
    file.rename(folder / "batch.bin")
    assert contents.contents(folder) not in (before, after)


def test_devices_and_missing_files_hold_nothing(tmp_path):
    assert contents.contents("/dev/zero") == contents.contents(tmp_path / "none") == ""
    assert contents.contents("a\0b") == ""
