"""``pgnface experiment``: the method's claims, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, subcommand


@dataclass
class Bottleneck:
    """Replace parts of a network's prediction by the truth, on rendered people: what remains of the
    error shows which part carries it."""

    checkpoint: str = "default"
    """Checkpoint to measure; "default" and "small" are shipped."""
    people: int = 128
    """Rendered people, two pictures of each."""
    json: bool = False
    """Print the numbers as JSON and nothing else."""

    def run(self) -> None:
        from pgnface.evaluation.protocols.synthetic import held_out_people
        from pgnface.experiments.bottleneck import measure_bottleneck
        from pgnface.experiments.tables import print_bottleneck
        from pgnface.networks.inference import resolve_network

        network = resolve_network(self.checkpoint)
        faces = held_out_people(network.model, self.people, network.config.image_size)
        print_bottleneck(measure_bottleneck(network, faces), as_json=self.json)


@dataclass
class Robustness:
    """Measure networks on worse and worse pictures: occluded, blurred, small, cropped wrongly."""

    checkpoints: Positional[tuple[str, ...]] = ("default",)
    """Checkpoints to compare; "default" and "small" are shipped."""
    root: Path | None = None
    """Folder of photos with .mat files in the format of AFLW2000-3D; missing: rendered people."""
    split: Literal["all", "train", "validation"] = "validation"
    """Part of the folder's files."""
    faces: int = 256
    """At most so many."""
    seed: int = 0
    """Of the places of occluders and the directions of wrong crops."""
    output: Path = Path("pgnface-robustness")
    """Folder for robustness.json, .md and .png."""

    def run(self) -> None:
        from pgnface.experiments.faces import annotated_faces, rendered_faces
        from pgnface.experiments.robustness import measure_robustness
        from pgnface.experiments.tables import write_robustness
        from pgnface.networks.inference import resolve_network

        tables = {}
        for checkpoint in self.checkpoints:
            network = resolve_network(checkpoint)
            if self.root is None:
                faces = rendered_faces(network.model, self.faces, network.config.image_size)
            else:
                faces, skipped = annotated_faces(self.root, self.split, self.faces)
                for name, reason in skipped.items():
                    print(f"left out {name}: {reason}")
            tables[checkpoint] = measure_robustness(network, faces, seed=self.seed)
        print(write_robustness(tables, self.output, len(faces)))


@dataclass
class StudyCommand:
    """Train networks that differ in one thing, several times, and compare what they reach; goes on
    where an interrupted call stopped."""

    study: Positional[str]
    """"pose" (solved against regressed), "supervision" (labelled, plus unlabelled, plus
    multi-frame), or a YAML file of your own (docs/experiments.md)."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of weights and data."""
    steps: int | None = None
    """Training steps of every run, in place of the study's."""
    output: Path | None = None
    """Folder; default: runs/study-NAME."""

    def run(self) -> None:
        from pgnface.experiments.run import run_study
        from pgnface.experiments.study import load_study
        from pgnface.experiments.summary import to_markdown

        overrides = {} if self.steps is None else {"steps": self.steps}
        output = self.output or Path("runs", f"study-{Path(self.study).stem}")
        print(to_markdown(run_study(load_study(self.study, overrides), output, self.seeds)))


@dataclass
class Experiment:
    """Measure what the method claims."""

    experiment: (
        Annotated[Bottleneck, subcommand("bottleneck")]
        | Annotated[Robustness, subcommand("robustness")]
        | Annotated[StudyCommand, subcommand("study")]
    )

    def run(self) -> None:
        self.experiment.run()
