"""``lab decide`` as a race: all arms on a few items with one draw, and only those that are still in it on more.

``Race(runner, plan, settings).run(study)`` fills a new study; its schedule stands in ``study.plan["race"]`` before the
first look. Arms that were dropped keep what they had measured and say why they left. Sizes and ranks beside the largest
are measured for the arms that stayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from lab.decision import Decision, verdict
from lab.flow.plan import Plan, PlannedCell
from lab.flow.runner import Runner, add_piece
from lab.flow.workers import Asking, Measurement
from lab.measure.arms import Arm, arms_at
from lab.measure.evidence import evidence
from lab.measure.racing import MOST, SECOND, Look, dropped, schedule, seeds_are_missing
from lab.measure.settings import Settings
from lab.measure.words import percent
from lab.schema import Sample
from lab.study import UNASKED, Cell, Study, draws


class Race:
    """One race on the largest data size and the searched rank."""

    def __init__(
        self,
        runner: Runner,
        plan: Plan,
        settings: Settings,
        after_look: Callable[[Study], None] = lambda study: None,
    ) -> None:
        self.runner, self.plan, self.settings, self.after_look = runner, plan, settings, after_look
        task = runner.bench.task
        self.drawn = task.test_as_drawn()
        # Who asked for a part of the test items means all of it.
        self.looks = schedule(len(self.drawn), plan.seeds, len(self.drawn) if task.test_of else MOST)
        runner.search.halving = True
        self.size, self.ids = plan.sizes[-1], [s.id for s in task.test]

    def _prepare(self, study: Study) -> None:
        """The schedule, written down before the first look."""
        study.plan["race"] = {
            "margin": self.settings.margin,
            "size": self.size,
            "looks": [asdict(look) for look in self.looks],
            "log": [],
            "dropped": {},
            "alpha": 0.0,
        }

    def run(self, study: Study) -> None:
        """Look after look until one arm is left, one can be taken, or the schedule ends; then what stands around it."""
        self._prepare(study)
        race = study.plan["race"]
        for look in self.looks:
            if look.alpha and race["alpha"] and not seeds_are_missing(self._alive(study)):
                break
            items = self._items_of(look)
            self._measure(study, look, items)
            race["alpha"] = look.alpha or race["alpha"]
            self._drop(study, look, items)
            self.after_look(study)
            if self._is_over(study, look):
                break
        race["alpha"] = race["alpha"] or self.looks[-1].alpha
        self._shorten(study)
        self._finish(study)

    # One look

    def _items_of(self, look: Look) -> int:
        return _whole_groups(look.items, [s.group or s.id for s in self.drawn])

    def _cells(self, study: Study, look: Look) -> Iterator[PlannedCell]:
        """The arms that are still in the race, with their draws."""
        gone = study.plan["race"]["dropped"]
        for m in self.plan.methods:
            if m.name in gone:
                continue
            rank, size = self.plan.ranks[-1] if m.has_rank else None, self.size if m.uses_labels else None
            for seed in draws(look.seeds) if m.uses_labels else [0]:
                planned = PlannedCell(m.name, rank, size, seed)
                if planned not in self.plan.dropped:
                    yield planned

    def _measure(self, study: Study, look: Look, items: int) -> None:
        samples, cells = self._in_task_order(items), list(self._cells(study, look))
        known = [next((c for c in study.cells if _is(c, planned)), None) for planned in cells]
        fresh = [(p, k) for p, k in zip(cells, known) if not k or k.asked < items]
        self.runner.ahead(self.plan, [Asking(p, items, k.evaluation if k else "") for p, k in fresh])
        for planned, before in zip(cells, known):
            if before and before.asked >= items:
                continue
            spec, choices, failed = self.runner.chosen(planned, self.plan)
            failed = failed or (before.failed if before else "")
            # What a whole grid has measured before serves the race as well.
            begun = before.evaluation if before else self.runner.bench.evaluation_key(spec, "test")
            measured = self.runner.own(planned, spec, failed, samples, begun)
            study.cells = [c for c in study.cells if c is not before]
            add_piece(study, planned, [self._placed(measured, samples)], choices)
            if before is None:
                self.runner.bench.progress.finished(planned, measured.accuracy)
        study.cells = [c for c in study.cells if c.control != "baseline"]
        self._baselines(study, [self.size], draws(look.seeds), samples)

    def _baselines(self, study: Study, sizes: list[int], seeds: Sequence[int], samples: tuple[Sample, ...]) -> None:
        """Behind the arms, which stand in the order they were asked for."""
        names = [m.name for m in self.plan.methods]
        study.cells.sort(key=lambda c: (names.index(c.method), c.control, -(c.size or 0), -(c.rank or 0), c.seed))
        study.cells += [self._placed(c, samples) for c in self.runner.baselines(sizes, seeds, samples)]

    def _in_task_order(self, items: int) -> tuple[Sample, ...]:
        """The first items drawn, in the task's order: under the same key as a run with ``--items``."""
        return self.runner.bench.task.with_items(items).test

    def _placed(self, cell: Cell, samples: tuple[Sample, ...]) -> Cell:
        """The cell over all items of the study, those that it was not asked marked as such."""
        place = {s.id: n for n, s in enumerate(samples)}
        return _over(cell, [place.get(i) for i in self.ids])

    def _alive(self, study: Study) -> list[Arm]:
        gone = study.plan["race"]["dropped"]
        return [a for a in arms_at(study, self.size) if a.name not in gone]

    def _drop(self, study: Study, look: Look, items: int) -> None:
        """Who is clearly worse than an arm that may be taken leaves."""
        race, alive = study.plan["race"], self._alive(study)
        rivals = _rivals(alive, self._verdict(study), self.settings)
        opponents = len(arms_at(study, self.size)) - 1
        found = dropped(alive, rivals, self.settings.margin, opponents)
        race["dropped"] |= {name: d.as_json() | {"words": d.words} for name, d in found.items()}
        entry = {
            "items": items,
            "seeds": look.seeds,
            "arms": {a.label: [a.accuracy, *a.interval] for a in alive},
            "dropped": list(found),
        }
        race["log"].append(entry)
        told = ", ".join(f"{a.label} {percent(a.accuracy)}{' (dropped)' if a.name in found else ''}" for a in alive)
        draws = f"{look.seeds} draw{'s' if look.seeds > 1 else ''}"
        self.runner.bench.progress.looked(f"{items} items, {draws}: {told}")

    def _verdict(self, study: Study) -> Decision:
        """As if the run were finished: what the rule says of what there is."""
        whole = replace(study, made=study.made | {"finished": "at this look"})
        return verdict(evidence(whole, self.size), self.settings)

    def _is_over(self, study: Study, look: Look) -> bool:
        return _ends(self._alive(study), look, self._verdict(study), self.plan.seeds, len(self.drawn))

    # Around it

    def _shorten(self, study: Study) -> None:
        """Items that no arm was asked are none of the study's."""
        asked = max(c.asked for c in study.cells)
        if asked == len(study.items):
            return
        kept = self.runner.bench.task.with_items(asked)
        left = {s.id for s in kept.test}
        places = [n for n, i in enumerate(study.items) if i in left]
        study.task |= {"test": asked, "test_of": kept.test_of, "digest": kept.digest}
        study.items, study.groups = [[of[n] for n in places] for of in (study.items, study.groups)]
        self.ids = study.items
        study.cells = [_over(c, places) for c in study.cells]

    def _finish(self, study: Study) -> None:
        """Controls, probes, and the other sizes and ranks, of the arms that stayed."""
        samples, gone = self._in_task_order(len(study.items)), study.plan["race"]["dropped"]
        cells = [planned for planned in self.plan.in_order() if planned.method not in gone]
        self.runner.ahead(self.plan, [Measurement(planned, len(study.items)) for planned in cells])
        for planned in cells:
            known = next((c for c in study.cells if _is(c, planned)), None)
            piece = self.runner.piece(planned, self.plan, samples)
            cells = piece.cells[1:] if known and known.asked == len(study.items) else piece.cells
            add_piece(study, planned, [self._placed(c, samples) for c in cells], piece.choices, piece.probed)
            if known is None:
                self.runner.bench.progress.finished(planned, piece.cells[0].accuracy)
        kept = [c for c in study.cells if c.control == "baseline"]
        study.cells = [c for c in study.cells if c.control != "baseline"]
        self._baselines(study, [s for s in self.plan.sizes if s != self.size], self.plan.draws, samples)
        study.cells += kept


def _is(cell: Cell, planned: PlannedCell) -> bool:
    """Whether a measured cell is that of a plan."""
    mine = (cell.method, cell.seed, cell.size, cell.rank, cell.control)
    return mine == (planned.method, planned.seed, planned.size, planned.rank, "")


@dataclass(frozen=True)
class Replay:
    """How a race over a study that is measured whole would have ended."""

    decision: Decision
    asked: dict[tuple[str, int], int]
    """Items by arm (its name) and seed."""


def replay(study: Study, settings: Settings, order: Sequence[int], seeds: int, most: int = MOST) -> Replay:
    """The race over the largest size of a finished study, its items asked in this ``order`` (places, groups in one
    piece); draws that the study lacks are not made."""
    sizes = study.sizes()
    size = sizes[-1] if sizes else None
    whole = [c for a in arms_at(study, size) for c in a.cells]
    asked: dict[tuple[str, int], int] = {}
    race = {"margin": settings.margin, "size": size, "alpha": 0.0, "dropped": {}, "log": []}
    opponents = len(arms_at(study, size)) - 1
    numbers = sorted({c.seed for c in whole if c.size is not None})

    def seen() -> Study:
        """The study as far as it was asked."""
        cells = [_masked(c, order[:count]) for c in whole if (count := asked.get((study.name_of(c), c.seed)))]
        return replace(study, cells=cells, plan={"race": race}, made=study.made | {"finished": "at this look"})

    for look in schedule(len(order), seeds, most):
        stayed = [a for a in arms_at(seen(), size) if a.name not in race["dropped"]] if asked else []
        if look.alpha and race["alpha"] and not seeds_are_missing(stayed):
            break
        count = _whole_groups(look.items, [study.groups[n] for n in order])
        for cell in whole:
            if study.name_of(cell) not in race["dropped"] and (cell.size is None or cell.seed in numbers[: look.seeds]):
                asked[study.name_of(cell), cell.seed] = count
        race["alpha"] = look.alpha or race["alpha"]
        alive = [a for a in arms_at(seen(), size) if a.name not in race["dropped"]]
        judged = verdict(evidence(seen(), size), settings)
        found = dropped(alive, _rivals(alive, judged, settings), settings.margin, opponents)
        race["dropped"] |= {name: d.as_json() | {"words": d.words} for name, d in found.items()}
        left, judged = [a for a in alive if a.name not in found], verdict(evidence(seen(), size), settings)
        if _ends(left, look, judged, seeds, len(order)):
            break
    return Replay(verdict(evidence(seen(), size), settings), asked)


def _masked(cell: Cell, places: Sequence[int]) -> Cell:
    """The cell with all other items marked as not asked."""
    kept = set(places)
    return _over(cell, [n if n in kept else None for n in range(len(cell.outcomes))])


def _over(cell: Cell, places: Sequence[int | None]) -> Cell:
    """The cell over other items: for each its place among the cell's own, None where it was not asked."""
    return replace(
        cell,
        outcomes="".join(UNASKED if n is None else cell.outcomes[n] for n in places),
        parts={name: [None if n is None else values[n] for n in places] for name, values in cell.parts.items()},
    )


def _whole_groups(count: int, groups: Sequence[str]) -> int:
    """So many items, and the rest of the last one's group."""
    while count < len(groups) and groups[count] == groups[count - 1]:
        count += 1
    return count


def _rivals(alive: Sequence[Arm], judged: Decision, settings: Settings) -> list[str]:
    """Arms that may be taken, and so push others out: none beyond a limit, none whose forgetting is still unknown."""
    by_name = {a.name: a for a in judged.arms}
    limited = settings.forgetting_limit is not None
    return [a.name for a in alive if not by_name[a.name].excluded and not (limited and by_name[a.name].changes_weights)]


def _ends(left: Sequence[Arm], look: Look, judged: Decision, seeds: int, items: int) -> bool:
    """One arm is left that was drawn often enough, none is of any use, or the level of this look takes one."""
    if any(a.one_seed for a in left) and seeds > 1:
        return False
    is_open = judged.sentence.startswith("Undecided")
    # The last one left goes on to the second look, so that it is known how good it is.
    alone = len(left) == 1 and look.items >= min(SECOND, items)
    return alone or (look.alpha > 0 and not is_open) or not (judged.chosen or judged.leader or is_open)
