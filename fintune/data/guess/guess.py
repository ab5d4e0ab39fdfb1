"""What files of labeled text hold, as settings of a config, each with its evidence; the readings to choose from where two are near.

Example:
    guess = guess_files(["complaints.csv"])
    guess.settings["data"]["text_column"], guess.settings["task"]["labels"]
    # ('complaint', ['branch service', 'card fraud', 'loan application'])
"""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from fintune.data.guess.answers import AnswerSet, answers_of, is_missing
from fintune.data.guess.by_file import label_files, settings_by_file
from fintune.data.guess.kinds import (
    CALCULATED,
    SEVERAL,
    TARGETS,
    UNLABELED,
    OtherKind,
    holds_lists,
    is_status,
    lists_of_targets,
    other_kind,
)
from fintune.data.guess.meanings import meanings_in, options_in
from fintune.data.guess.profile import Profile, plain, profile_of
from fintune.data.guess.reasons import Choosable, NotLabeledText, Reason, Undecided
from fintune.data.guess.roles import (
    ColumnChoice,
    Roles,
    answer_of,
    codes_beside,
    date_forms,
    date_of,
    group_of,
    is_score,
    kind_of_columns,
    targets_in,
    text_of,
)
from fintune.data.guess.sample import Record, every_record, sample_of
from fintune.data.guess.settings import reasons_for, settings_for
from fintune.data.guess.sheets import sheets_of
from fintune.data.guess.tasks import GUESSED, task_of
from fintune.data.guess.unanswered import need_answer
from fintune.data.guess.votes import as_column, columns_by_label, one_mark_a_row
from fintune.errors import DataError, did_you_mean

SectionSettings = Mapping[str, object]
"""Settings of a section of a config, by name."""
_NEARLY_ALL = 0.95
"""Share of counts in a column of votes."""
_OTHERS = {"several": SEVERAL, "calculated": CALCULATED}


@dataclass(frozen=True, kw_only=True)
class Guess:
    """Settings that the files come to, and why."""

    settings: Mapping[str, SectionSettings]
    """Sections `data` and `task`, as a config has them."""
    reasons: Sequence[Reason]


def guess_files(paths: Sequence[str], given: Mapping[str, SectionSettings] | None = None) -> Guess:
    """Look into files. `given` are settings that are not to be guessed, by section.

    Raises NotLabeledText where they hold something else, Undecided where nothing in them tells which of two readings is meant.
    """
    data, task = ((given or {}).get(section) or {} for section in ("data", "task"))
    try:
        return _guessed(paths, data, task)
    except UnicodeError as error:  # a codec that cannot go on behind what it cannot read
        problem = f"{', '.join(paths)}: not read by its encoding: {type(error).__name__}"
        raise DataError(problem, hint="Set data.encoding, for example to utf-8, latin-1 or gb18030.") from None


def _guessed(paths: Sequence[str], data: SectionSettings, task: SectionSettings) -> Guess:
    files = label_files(paths) if "label_column" not in data else []
    paths = files or paths
    sheets = sheets_of(paths[0]) if len(paths) == 1 else []
    refused: DataError | None = None
    for sheet in sheets if len(sheets) > 1 else ():
        try:
            return _Look([sheet], data, task).guess()
        except Undecided:
            raise
        except DataError as error:
            refused = refused or error
    if refused is not None:
        raise refused
    try:
        return _Look(paths, data, task).guess()
    except NotLabeledText as error:
        if not files or error.kind_of_data != UNLABELED.name:
            raise
        settings, reasons = settings_by_file(files, str(task["name"]) if "name" in task else None)
        return Guess(settings=settings, reasons=reasons)


class _Look:
    """A look into files, some settings of sections data and task given."""

    def __init__(self, paths: Sequence[str], data: SectionSettings, task: SectionSettings) -> None:
        self._paths, self._data, self._task = paths, data, task
        self._by_label = columns_by_label(data)
        self._sample = sample_of(paths, data)
        entries, texts = self._sample.records, self._one_a_text()
        self._profiles = {
            name: profile_of(name, [record.get(name) for record in (entries if self._is_of_entry(name) else texts)])
            for name in self._sample.names
            if not is_status(self._sample.raw[0], name)
        }

    def _one_a_text(self) -> Sequence[Record]:
        """Return the records without what an entry of data.explode tells: one for all entries of a text."""
        if self._sample.explode is None:
            return self._sample.records
        beside = ({k: v for k, v in record.items() if not self._is_of_entry(k)} for record in self._sample.records)
        return [record for record, _ in groupby(beside)]

    def _is_of_entry(self, name: str) -> bool:
        explode = self._sample.explode
        return explode is not None and (name == explode or name.startswith(f"{explode}."))

    def guess(self) -> Guess:
        """Return what the files come to."""
        answered = "label_column" in self._data or self._by_label
        if not answered and (kind := self._other_kind()) is not None:
            raise self._refused(kind)
        text = self._text()
        answer = self._votes() or self._answer(text)
        answers = self._answers(
            as_column(list(self._by_label)) if self._by_label else self._profiles[answer.columns[0]]
        )
        beside = [p for name, p in self._profiles.items() if name not in (*text.columns, *answer.columns)]
        date = date_of(beside)
        group = group_of([p for p in beside if p.name not in date.columns])
        texts = [value for name in text.columns for value in self._profiles[name].counts]
        where: dict[str, object] = {"path": self._paths[0] if len(self._paths) == 1 else list(self._paths)}
        forms = date_forms(self._profiles[date.columns[0]]) if date.columns else ()
        roles = Roles(text=text, answer=answer, date=date, group=group, date_forms=forms)
        reasons = reasons_for(self._sample, roles, answers)
        return Guess(
            settings={
                "data": where | settings_for(self._sample, roles, answers),
                "task": task_of(answers, text.columns, texts, self._task_given(), about=self._entries_but(answer)),
            },
            reasons=[one for one in reasons if one.setting.partition(".")[2] not in {**self._data, **self._task}],
        )

    def _other_kind(self) -> OtherKind | None:
        """Return what the files hold that is no labeled text."""
        if (kind := self._sample.other or other_kind(self._sample.raw[0])) is not None:
            return kind
        if holds_lists(self._sample.raw):
            return SEVERAL
        return TARGETS if self._targets() is not None else kind_of_columns(list(self._profiles.values()))

    def _targets(self) -> str | None:
        return lists_of_targets(self._sample.raw) or targets_in(list(self._profiles.values()))

    def _entries_but(self, answer: ColumnChoice) -> list[str]:
        """Return what else an exploded entry tells in words: whom its answer is about."""
        inner = (p for p in self._profiles.values() if self._is_of_entry(p.name))
        return [p.name for p in inner if p.name not in answer.columns and p.distinct > 1 and not is_score(p)]

    def _refused(self, kind: OtherKind) -> NotLabeledText:
        shown, hint = "", "FinTune learns a label or a number for each text so far: give it a file of such."
        if kind is UNLABELED:
            shown = f"; columns: {', '.join(self._sample.names)}"[:200]
            hint = "To label it: fintune predict RUN --file. To train on it, name the column of its answers: --set data.label_column=NAME."
            counts = [p.name for p in self._profiles.values() if p.numbers > _NEARLY_ALL and p.whole]
            if len(counts) > 1:  # votes, perhaps
                hint += f" Votes ({', '.join(counts[:4])}): --set 'data.label_columns={{LABEL: COLUMN, ...}}'."
        if kind is TARGETS and (column := self._targets()) is not None:
            hint = f"To read a row of each: --set {shlex.quote(f'data.explode={column}')}."
        return NotLabeledText(self._sample.path, kind, shown, hint=hint)

    def _text(self) -> ColumnChoice:
        text = self._given("text_column") or text_of(list(self._profiles.values()), self._answer_given())
        if not text.columns:
            shown = f"{self._sample.path}: no column holds texts; columns: {', '.join(self._sample.names)}"[:300]
            raise DataError(shown, hint="Name it: --set data.text_column=NAME.")
        self._need_one(text, "text_column", "the text")
        return text

    def _answer(self, text: ColumnChoice) -> ColumnChoice:
        explained = [name for name, p in self._profiles.items() if self._meanings(p)]
        answer = self._given("label_column") or answer_of(list(self._profiles.values()), text.columns, explained)
        if not answer.columns:
            need_answer(self._sample.path, list(self._profiles.values()), text.columns)
            raise self._refused(UNLABELED)
        self._need_one(answer, "label_column", "the answer")
        return answer

    def _votes(self) -> ColumnChoice | None:
        """Return the columns of votes, where they are given. Raises DataError where one is not there."""
        for name in self._by_label.values():
            if name not in self._profiles:
                problem = f"{self._sample.path}: no column '{name}' (data.label_columns)"
                raise DataError(problem, hint=did_you_mean(name, self._profiles), kind="column")
        return ColumnChoice(list(self._by_label.values())) if self._by_label else None

    def _answer_given(self) -> str | None:
        return str(self._data["label_column"]) if "label_column" in self._data else None

    def _task_given(self) -> str | None:
        return str(self._task["name"]) if "name" in self._task else None

    def _given(self, setting: str) -> ColumnChoice | None:
        """Return the column that a setting names. Raises DataError where it is not there."""
        if setting not in self._data:
            return None
        name = str(self._data[setting])
        if name not in self._profiles:
            problem = f"{self._sample.path}: no column '{name}'"
            raise DataError(problem, hint=did_you_mean(name, self._profiles), kind="column")
        return ColumnChoice([name])

    def _need_one(self, choice: ColumnChoice, setting: str, what: str) -> None:
        if not choice.others:
            return
        readings = []
        profiles = [self._profiles[name] for name in (*choice.columns, *choice.others)]
        for p in profiles:
            form = f"{len(p.spelled)} labels" if setting == "label_column" else f"{p.words:.0f} words each"
            readings.append(Choosable(override=f"data.{setting}={p.name}", what="numbers" if is_score(p) else form))
        if setting == "label_column" and (labels := one_mark_a_row(profiles)):
            readings.insert(0, Choosable(override=f"data.label_columns={{{labels}}}", what="one label a row"))
        raise Undecided(self._sample.path, f"{len(profiles)} columns may be {what}", readings)

    def _answers(self, answer: Profile) -> AnswerSet:
        """Return what answers there are, in all files."""
        name = self._task_given()
        scores = is_score(answer) if name not in GUESSED else name == "regression"
        meanings = codes_beside(list(self._profiles.values()), answer) or self._meanings(answer)
        given = "label_column" in self._data
        answers = answers_of(answer.name, self._counts(answer), meanings, scores=scores, one_a_cell=given)
        if answers.kind in _OTHERS:
            raise self._refused(_OTHERS[answers.kind])
        if answers.kind == "labels" and len(answers.labels) < 2:
            shown = f"'{answers.labels[0]}' alone" if answers.labels else "none"
            problem = (
                f"{self._sample.path}: of the answers in column '{answer.name}' there is {shown}: nothing to learn"
            )
            raise DataError(problem, hint="Give it others too, or name another column: --set data.label_column=NAME.")
        return answers

    def _meanings(self, p: Profile) -> Mapping[str, str]:
        """Return what a file says that codes stand for."""
        codes = [value for value in p.counts if not is_missing(value)]
        return meanings_in([*self._sample.notes, p.name], codes) or options_in(self._sample.raw, codes)

    def _counts(self, answer: Profile) -> Counter[str]:
        """Return the rows of each value of the answer in all files, "" for none."""
        if self._by_label or (self._sample.whole and len(self._sample.files) == 1):
            return Counter(answer.values)
        return Counter(plain(record, answer.name) for record in every_record(self._sample))
