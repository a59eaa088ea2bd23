"""The whole way from a folder to batches, with every fault the audit knows."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src import data
from src.core.errors import MissingFileError, UsageError
from src.data.sample import draw_face
from tests.unit.data.conftest import encode

FACE = encode(draw_face(30, np.random.default_rng(107)))
TWIN = encode(draw_face(30, np.random.default_rng(108)))
CONFLICT = encode(draw_face(30, np.random.default_rng(109)))

FAULTS = [
    # file name, age, content (None: no file), reason, action
    ("missing.png", "30", None, "missing_file", "dropped"),
    ("empty.png", "30", b"", "empty_file", "dropped"),
    ("text.png", "30", b"not a picture at all", "not_an_image", "dropped"),
    ("cut.png", "30", FACE[: len(FACE) // 2], "unreadable", "dropped"),
    ("bomb.png", "30", encode(np.zeros((2500, 2500), np.uint8)), "too_large", "dropped"),
    ("a.png", "", FACE, "age_missing", "dropped"),
    ("b.png", "nan", FACE, "age_missing", "dropped"),
    ("c.png", "old", FACE, "age_not_a_number", "dropped"),
    ("d.png", "-1", FACE, "age_out_of_range", "dropped"),
    ("e.png", "1e9", FACE, "age_out_of_range", "dropped"),
    ("inf.png", "inf", FACE, "age_out_of_range", "dropped"),
    ("../../outside.png", "30", None, "outside_root", "dropped"),
    ("/etc/passwd", "30", None, "outside_root", "dropped"),
    ("folder", "30", "folder", "unreadable", "dropped"),
    ("pipe.png", "30", "pipe", "unreadable", "dropped"),
    ("link.png", "30", "link", "outside_root", "dropped"),
    ("elsewhere/outside.png", "30", "folder link", "outside_root", "dropped"),
    ("..", "30", None, "unreadable", "dropped"),
    ("f.png", "1_0", FACE, "age_not_a_number", "dropped"),
    ("twin1.png", "40", TWIN, "duplicate", "kept"),
    ("twin2.png", "40", TWIN, "duplicate", "kept"),
    ("conflict1.png", "20", CONFLICT, "conflicting_duplicate", "dropped"),
    ("conflict2.png", "60", CONFLICT, "conflicting_duplicate", "dropped"),
]


@pytest.fixture
def faulty(write_faces) -> Path:
    """Forty sound faces, then one row for each fault, then a row that is cut short."""
    root = write_faces(list(range(20, 60)))
    with (root / "labels.csv").open("a") as table:
        for name, age, content, _, _ in FAULTS:
            table.write(f"{name},{age}\n")
            path = root / "final_files" / name
            if content == "folder":
                path.mkdir()
            elif content == "pipe":
                os.mkfifo(path)
            elif content == "link":
                (root.parent / "outside.png").write_bytes(FACE)
                path.symlink_to(root.parent / "outside.png")
            elif content == "folder link":
                path.parent.symlink_to(root.parent)
            elif content is not None:
                path.write_bytes(content)
        table.write("short.png\n")
    return root


@pytest.fixture
def prepare(compose_config, in_tmp_path):
    def prepared(root: Path, *overrides: str) -> data.Dataset:
        config = compose_config(
            "data=labels_csv", f"data.root={root}", "data.image_size=32", *overrides
        )
        return data.prepare(config.data, config.target)

    return prepared


def test_every_fault_is_listed_by_row_and_reason(faulty, prepare) -> None:
    dataset = prepare(faulty, "data.max_bad_fraction=1", "data.max_pixels=5000000")
    findings = dataset.findings.set_index("row")
    for row, (name, _, _, reason, action) in enumerate(FAULTS, start=41):
        assert findings.loc[row, "reason"] == reason, name
        assert findings.loc[row, "action"] == action, name
    assert findings.loc[41 + len(FAULTS), "reason"] == "malformed_row"
    assert len(findings) == len(FAULTS) + 1
    assert len(dataset.faces) == 40 + 2


def test_no_row_is_lost(faulty, prepare) -> None:
    dataset = prepare(faulty, "data.max_bad_fraction=1", "data.max_pixels=5000000")
    dropped = dataset.findings.query("action == 'dropped'")["row"]
    assert sorted([*dataset.faces["row"], *dropped]) == list(range(1, 40 + len(FAULTS) + 2))


def test_too_many_bad_rows_stop_with_reasons_a_full_list_and_the_fix(faulty, prepare) -> None:
    with pytest.raises(UsageError) as stop:
        prepare(faulty, "data.max_pixels=5000000")
    message = str(stop.value)
    assert "conflicting_duplicate" in message
    assert "Fix:" in message
    listed = pd.read_csv(".cache/audit.csv")
    assert set(listed["reason"]) >= {"missing_file", "empty_file", "age_out_of_range"}
    fraction = message.rsplit("data.max_bad_fraction=", 1)[1]
    assert len(
        prepare(faulty, f"data.max_bad_fraction={fraction}", "data.max_pixels=5000000").faces
    )


def test_limit_does_not_make_the_bad_fraction_larger(faulty, prepare) -> None:
    usable = ["data.max_bad_fraction=0.7", "data.max_pixels=5000000"]
    assert len(prepare(faulty, *usable, "data.limit=12").faces) <= 12


@pytest.mark.parametrize("num_rows", [20, 40, 60, 100])
def test_exactly_the_allowed_fraction_may_be_bad(write_faces, prepare, num_rows) -> None:
    root = write_faces(list(range(1, num_rows + 1)))
    for place in range(num_rows // 20):
        (root / "final_files" / f"{place:03d}.png").unlink()
    assert len(prepare(root, "data.max_bad_fraction=0.05").faces) == num_rows * 19 // 20


def test_stray_quote_costs_its_own_row_only(write_faces, prepare) -> None:
    root = write_faces(list(range(20, 60)))
    lines = (root / "labels.csv").read_text().splitlines()
    lines[11] = f'"{lines[11]}'
    lines[12] = "9" * 200_000
    (root / "labels.csv").write_text("\n".join(lines))
    dataset = prepare(root)
    assert list(dataset.findings["row"]) == [11, 12]
    assert set(dataset.findings["reason"]) == {"malformed_row"}
    assert len(dataset.faces) == 38


def test_file_name_that_is_not_utf8_is_malformed(prepare, in_tmp_path) -> None:
    root = in_tmp_path / "UTKFace"
    root.mkdir()
    for place in range(20):
        face = encode(draw_face(30, np.random.default_rng(place)), "JPEG")
        (root / f"{20 + place}_0_1_2.jpg").write_bytes(face)
    (root / os.fsdecode(b"30_\xff.jpg")).write_bytes(FACE)
    dataset = prepare(root, "data=utkface")
    assert list(dataset.findings["detail"]) == ["the file name is not UTF-8"]


def test_only_bad_rows_are_explained(write_faces, prepare) -> None:
    root = write_faces(["x", "y"])
    with pytest.raises(UsageError, match=r"None of the rows.*\n.*2 dropped: age_not_a_number"):
        prepare(root)


def test_conflicting_duplicates_can_be_kept(faulty, prepare) -> None:
    dataset = prepare(
        faulty, "data.max_bad_fraction=1", "data.conflicting_duplicates=keep",
        "data.max_pixels=5000000",
    )  # fmt: skip
    assert len(dataset.faces) == 40 + 4
    assert (dataset.faces.groupby("digest")["split"].nunique() == 1).all()


def test_renamed_and_reordered_files_give_the_same_digest_and_batches(
    write_faces, prepare, compose_config
) -> None:
    root = write_faces(list(range(20, 60)))
    first = prepare(root)
    moved = root.parent / "moved"
    shutil.copytree(root, moved)
    table = pd.read_csv(moved / "labels.csv").sample(frac=1, random_state=0)
    for place, name in enumerate(table["file_name"]):
        (moved / "final_files" / name).rename(moved / "final_files" / f"new{place}.png")
    table["file_name"] = [f"new{place}.png" for place in range(len(table))]
    table.to_csv(moved / "labels.csv", index=False)
    second = prepare(moved)
    assert second.digest == first.digest
    flip = compose_config().augmentation
    for one, other in zip(
        data.TrainingBatches(first.part("train"), 8, flip, seed=0).batch(0, 0),
        data.TrainingBatches(second.part("train"), 8, flip, seed=0).batch(0, 0),
        strict=True,
    ):
        assert np.array_equal(one, other)


def test_digest_tells_ages_contents_and_parts_apart(write_faces, prepare) -> None:
    root = write_faces(list(range(20, 60)))
    digests = {prepare(root).digest, prepare(root, "data.split.seed=1").digest}
    table = pd.read_csv(root / "labels.csv")
    table.loc[0, "real_age"] = 99
    table.to_csv(root / "labels.csv", index=False)
    digests.add(prepare(root).digest)
    assert len(digests) == 3


def test_limit_draws_from_every_part_and_age(write_faces, prepare) -> None:
    root = write_faces(list(range(1, 101)))
    whole, some = prepare(root), prepare(root, "data.limit=20")
    assert len(some.faces) == 20
    assert dict(some.faces["split"].value_counts()) == {"train": 12, "val": 4, "test": 4}
    parts = dict(zip(whole.faces["row"], whole.faces["split"], strict=True))
    assert all(parts[face.row] == face.split for face in some.faces.itertuples())
    assert abs(some.faces["age"].mean() - 50.5) < 6


def test_other_column_names_and_folders_are_read(write_faces, prepare) -> None:
    root = write_faces(list(range(20, 60)))
    table = pd.read_csv(root / "labels.csv")
    table = table.rename(columns={"file_name": "path", "real_age": "years"})
    table["part"] = ["train"] * 30 + ["validation"] * 10
    table.to_csv(root / "people.csv", index=False)
    (root / "final_files").rename(root / "images")
    dataset = prepare(
        root, "data.labels_file=people.csv", "data.image_dir=images",
        "data.columns.file_name=path", "data.columns.age=years", "data.columns.split=part",
        "data.split.method=official",
    )  # fmt: skip
    assert dict(dataset.faces["split"].value_counts()) == {"train": 30, "val": 10}


def test_missing_column_is_refused_with_those_that_exist(write_faces, prepare) -> None:
    root = write_faces([20, 30])
    with pytest.raises(UsageError, match=r"file_name, real_age.*data\.columns\.age=years"):
        prepare(root, "data.columns.age=years")


def test_missing_or_empty_table_is_refused(write_faces, prepare) -> None:
    root = write_faces([20, 30])
    with pytest.raises(MissingFileError, match=r"ages\.csv"):
        prepare(root, "data.labels_file=ages.csv")
    (root / "labels.csv").write_text("file_name,real_age\n")
    with pytest.raises(UsageError, match="no rows"):
        prepare(root)


def test_utkface_reads_ages_from_names_also_from_malformed_ones(prepare, in_tmp_path) -> None:
    root = in_tmp_path / "UTKFace"
    root.mkdir()
    names = [f"{age}_0_1_20170116174525125.jpg.chip.jpg" for age in range(20, 40)]
    names += ["39_1_20170116174525125.jpg.chip.jpg", "61_3_20170109150557335jpg.chip.jpg",
              "44_1_ 4_20170116235150272.jpg", "portrait.jpg"]  # fmt: skip
    for place, name in enumerate(names):
        face = draw_face(30, np.random.default_rng(place))
        (root / name).write_bytes(encode(face, "JPEG"))
    dataset = prepare(root, "data=utkface")
    ages = dict(zip(dataset.faces["file_name"], dataset.faces["age"], strict=True))
    assert ages["39_1_20170116174525125.jpg.chip.jpg"] == 39
    assert ages["61_3_20170109150557335jpg.chip.jpg"] == 61
    assert ages["44_1_ 4_20170116235150272.jpg"] == 44
    assert list(dataset.findings["reason"]) == ["malformed_row"]


def test_appa_real_follows_its_official_split(prepare, in_tmp_path) -> None:
    root = in_tmp_path / "appa"
    place = 0
    for part, count in {"train": 6, "valid": 3, "test": 2}.items():
        (root / part).mkdir(parents=True)
        lines = ["file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age"]
        for number in range(count):
            place += 1
            face = encode(draw_face(30, np.random.default_rng(place)), "JPEG")
            (root / part / f"{number:06d}.jpg_face.jpg").write_bytes(face)
            lines.append(f"{number:06d}.jpg,38,31.5,4.2,{20 + place}")
        (root / f"gt_avg_{part}.csv").write_text("\n".join(lines))
    dataset = prepare(root, "data=appa_real")
    assert dict(dataset.faces["split"].value_counts()) == {"train": 6, "val": 3, "test": 2}
    assert sorted(dataset.faces["age"]) == list(range(21, 32))


def test_sample_is_the_same_every_time_and_follows_the_seed_study(
    compose_config, in_tmp_path
) -> None:
    overrides = ["data.num_images=60", "data.image_size=32"]
    target = compose_config().target
    first = data.prepare(compose_config(*overrides).data, target)
    second = data.prepare(compose_config(*overrides, "data.cache_dir=other").data, target)
    assert first.digest == second.digest
    assert abs(first.faces["age"].mean() - 31.2) < 1


def test_subset_is_fixed_by_its_seed(write_faces, prepare) -> None:
    part = prepare(write_faces(list(range(20, 60)))).part("train")
    one, other = part.subset(10, seed=0), part.subset(10, seed=0)
    assert list(one.faces["row"]) == list(other.faces["row"])
    assert len(one) == len(one.labels) == 10
    assert part.subset(10_000, seed=0) is part
    face = one.faces.iloc[3]
    assert np.array_equal(one.inputs(np.array([3]))[0], part.pixels[face["image_index"]])


def test_target_gives_range_words_and_columns(write_faces, prepare) -> None:
    root = write_faces([1, 150, 299, 301, "x", *range(20, 60)])
    size = "target={name: shoe size, unit: mm, range: [0, 300], bands: [[0, 99], [100, 300]]}"
    dataset = prepare(root, size, "data.max_bad_fraction=1")
    assert len(dataset.faces) == 43
    assert {150, 299} <= set(dataset.faces["shoe_size"])
    assert sorted(dataset.part("train").labels) == sorted(
        dataset.faces.loc[dataset.faces["split"] == "train", "shoe_size"]
    )
    findings = dataset.findings.set_index("row")
    assert list(findings["reason"]) == ["shoe_size_out_of_range", "shoe_size_not_a_number"]
    assert findings.loc[4, "detail"] == "301 is outside 0–300 mm"
    assert "shoe_size_text" in findings


def test_digest_does_not_depend_on_the_words_for_the_target(write_faces, prepare) -> None:
    root = write_faces(list(range(20, 60)))
    assert prepare(root, "target.name=size", "target.unit=mm").digest == prepare(root).digest
