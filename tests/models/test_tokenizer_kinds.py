"""With every kind of tokenizer: answers have the ids of the whole text, and control tokens written in a text are letters."""

from dataclasses import replace
from typing import Any

import pytest

from fintune.config.load import load
from fintune.errors import ModelError
from fintune.inference.candidates import first_tokens
from fintune.inference.engines.protocol import encode_request
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.models import LoadedModel, load_model
from fintune.models.prompts import PromptEncoder
from fintune.records import Encoded, Prompt
from fintune.tasks.classification import Classification, ClassificationOptions
from tests import families
from tests.kinds import CHAT, KINDS, tokenizer_of
from tests.made_records import asked

TEMPLATES = {
    "blank": "{text}\nSentiment: {answer}",
    "no blank": "{text}\nSentiment:{answer}",
    "chinese": "{text}\n情绪：{answer}",
    "nothing": "{text}{answer}",
    "chat": "<|user|>\n{text}<|end|>\n<|assistant|>\n{answer}",
    "close chat": "<|user|>{text}<|end|><|assistant|>{answer}",
}
TEXTS = ("Profit of Alvex rose 5 % in May.", "公司利润上涨。", "Debt  of X\n\nheld (again)")
JOINED = {("llama3", "chinese")}
"""where a blank would keep prompt and answer apart: LLaMA 3 splits a colon and the letters behind it together"""
LOSSLESS = ("llama", "metaspace-never", "gemma", "gpt2", "llama3")
"""the others put a blank, or take one, of their own"""


def task_of(template: str) -> Classification:
    labels = ["负面", "中性", "正面"] if template == "chinese" else ["negative", "neutral", "positive"]
    return Classification(ClassificationOptions(labels=labels, prompt=TEMPLATES[template]))


def without_end(tokenizer: Any, ids: list[int]) -> list[int]:
    return ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_prompt_and_answer_have_the_tokens_of_the_whole_text(kind: str, template: str) -> None:
    tokenizer, task = tokenizer_of(kind), task_of(template)
    encoder = PromptEncoder(tokenizer, "causal", 1000)
    for prompt in (task.prompt(asked(text)) for text in TEXTS):
        for answer in list(task.choices().values()):
            found = encoder.encode(prompt, answer)
            assert isinstance(found, Encoded)
            ids, text = [*found.input_ids, *found.answer_ids[:-1]], f"{prompt}{answer}"
            whole = without_end(tokenizer, tokenizer(text)["input_ids"])
            assert found.answer_ids[-1] == tokenizer.eos_token_id
            assert encoder.answer(answer, prompt.after).joined == ((kind, template) in JOINED)
            if (kind, template) not in JOINED and not (template == "nothing" and prompt.pieces[1][0][-1].isalpha()):
                assert ids == whole, tokenizer.convert_ids_to_tokens(ids)
            assert found.input_ids == without_end(tokenizer, tokenizer(str(prompt))["input_ids"]), (
                "what a program feeds"
            )
            if kind in LOSSLESS:
                assert tokenizer.decode(ids, skip_special_tokens=True) == without_chat(text)


def without_chat(text: str) -> str:
    for token in CHAT:
        text = text.replace(token, "")
    return text


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_has_the_same_tokens_behind_every_text_and_wherever_it_is_asked_for(kind: str) -> None:
    encoder, task = PromptEncoder(tokenizer_of(kind), "causal", 1000), task_of("no blank")
    prompts = [task.prompt(asked(text)) for text in (*TEXTS, "", " ", "</s>")]
    ranked = encode_request(encoder, prompts, list(task.choices().values()), first=False)
    for prompt, ids in zip(prompts, ranked.prompts, strict=True):
        learned = [encoder.encode(prompt, answer) for answer in list(task.choices().values())]
        assert [one.answer_ids for one in learned if isinstance(one, Encoded)] == ranked.answers
        assert all(isinstance(one, Encoded) and one.input_ids == ids for one in learned)


@pytest.mark.parametrize("template", ["blank", "chat", "close chat"])
@pytest.mark.parametrize("kind", KINDS)
def test_control_tokens_in_a_text_are_letters(kind: str, template: str) -> None:
    tokenizer, task = tokenizer_of(kind), task_of(template)
    encoder = PromptEncoder(tokenizer, "causal", 1000)
    control = {i: token.content for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    plain = encoder.encode_prompt(task.prompt(asked("Sales rose")), reserve=0)
    assert isinstance(plain, Encoded)
    template_own = [i for i in plain.input_ids if i in control]
    for written in (*control.values(), "".join(control.values()), "Debt </s> fell<s> <pad>\n<unk>[SEP]<|end|>"):
        found = encoder.encode_prompt(task.prompt(asked(written)), reserve=0)
        assert isinstance(found, Encoded)
        unknown = tokenizer.unk_token_id
        assert [i for i in found.input_ids if i in control and i != unknown] == template_own
        if kind in LOSSLESS:
            assert written in tokenizer.decode([i for i in found.input_ids if i not in control])


def test_letters_that_make_a_control_piece_by_merges_are_spelled() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    pieces = ["</s>", "<", "/", "s", ">", "</", "</s", "a"]
    merges = [("<", "/"), ("</", "s"), ("</s", ">")]
    made = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>")
    assert tokenizer("a</s>a", split_special_tokens=True)["input_ids"] == [7, 0, 7], "the library's own way obeys it"
    found = PromptEncoder(tokenizer, "causal", 99).encode_prompt(Prompt.around("", "a</s>a", ""), reserve=0)
    assert isinstance(found, Encoded)
    assert tokenizer.convert_ids_to_tokens(found.input_ids) == ["a", "</s", ">", "a"]
    obeyed = PromptEncoder(tokenizer, "causal", 99).encode_prompt(Prompt.around("a</s>", "a", ""), reserve=0)
    assert isinstance(obeyed, Encoded)
    assert obeyed.input_ids == [7, 0, 7]


def test_a_letter_that_serves_as_a_control_token_stays_a_letter() -> None:
    from tests.tiny import byte_tokenizer

    tokenizer = byte_tokenizer()
    tokenizer.pad_token = "?"
    found = PromptEncoder(tokenizer, "causal", 99).encode_prompt(Prompt.around("", "up?", ""), reserve=0)
    assert isinstance(found, Encoded)
    assert tokenizer.convert_ids_to_tokens(found.input_ids) == ["<bos>", "u", "p", "?"]


def test_words_among_the_added_tokens_are_matched_and_turns_of_a_chat_are_not() -> None:
    from tests.kinds import KINDS as made

    tokenizer = made["gemma"]()
    tokenizer.add_tokens(["<|im_end|>"])
    tokenizer.chat_template = "{{ messages[0].content }}<|im_end|>"
    encoder = PromptEncoder(tokenizer, "causal", 99)
    found = encoder.encode_prompt(Prompt.around("", "Sales\n\nrose<|im_end|>", "<|im_end|>"), reserve=0)
    assert isinstance(found, Encoded)
    tokens = tokenizer.convert_ids_to_tokens(found.input_ids)
    assert "\n\n" in tokens
    assert [place for place, token in enumerate(tokens) if token == "<|im_end|>"] == [len(tokens) - 1]


@pytest.mark.parametrize("kind", ["llama", "gemma", "llama3"])
def test_a_beginning_the_template_writes_is_not_doubled(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    found = PromptEncoder(tokenizer, "causal", 99).encode_prompt(Prompt.around("<s>Text: ", "Sales", "\nA:"), reserve=0)
    assert isinstance(found, Encoded)
    assert found.input_ids.count(tokenizer.bos_token_id) == 1


def test_texts_that_are_shown_before_are_letters_too() -> None:
    tokenizer = tokenizer_of("llama")
    shown = (Prompt.around("<|user|>", "rose </s>", "<|assistant|>"), Prompt.around("", "<pad>", "\n\n"))
    prompt = replace(Prompt.around("<|user|>", "fell", "<|assistant|>"), shown=shown)
    found = PromptEncoder(tokenizer, "causal", 99).encode_prompt(prompt, reserve=0)
    assert isinstance(found, Encoded)
    ids = tokenizer.convert_tokens_to_ids(["<s>", "<|user|>", "<|assistant|>", "</s>", "<pad>"])
    assert [found.input_ids.count(i) for i in ids] == [1, 2, 2, 0, 0]
    assert str(prompt) == "<|user|>rose </s><|assistant|><pad>\n\n<|user|>fell<|assistant|>"


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_middle_of_a_text_is_cut_between_control_tokens(kind: str) -> None:
    tokenizer, prompt = (
        tokenizer_of(kind),
        Prompt.around("<|user|>Read: ", "Profit rose in May. " * 9, "<|end|>\nLabel:"),
    )
    whole = PromptEncoder(tokenizer, "causal", 999).encode_prompt(prompt, reserve=0)
    assert isinstance(whole, Encoded)
    limit = len(whole.input_ids) - 20
    found = PromptEncoder(tokenizer, "causal", limit).encode_prompt(prompt, reserve=0)
    assert isinstance(found, Encoded)
    assert found.cut in (20, 21), "a character of two tokens goes as a whole"
    assert len(found.input_ids) == len(whole.input_ids) - found.cut <= limit
    place = next(i for i in range(limit) if found.input_ids[i:] == whole.input_ids[i + found.cut :])
    assert found.input_ids[:place] == whole.input_ids[:place]
    assert tokenizer.convert_tokens_to_ids("<|end|>") in found.input_ids[place:]
    assert tokenizer.convert_tokens_to_ids("<|user|>") in found.input_ids[:place]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A tiny LLaMA with its kind of tokenizer."""
    folder = families.save("llama", tmp_path_factory.mktemp("llama"), vocab_size=len(tokenizer_of("llama")))
    tokenizer_of("llama").save_pretrained(folder)
    return load_model(str(folder), device="cpu")


@pytest.mark.parametrize("text", ["公司利润上涨。", "Sales fell </s> by 5 %"])
def test_an_engine_gives_what_the_model_gives_for_the_whole_text(llama: LoadedModel, text: str) -> None:
    import torch

    task = task_of("chinese")
    ranked = TorchEngine(llama, max_length=200).rank([task.prompt(asked(text))], list(task.choices().values()))
    options: Any = {"split_special_tokens": True}
    for answer, score in zip(list(task.choices().values()), ranked.log_probability[0], strict=True):
        before = llama.tokenizer(str(task.prompt(asked(text))), **options)["input_ids"]
        whole = [
            *llama.tokenizer(f"{task.prompt(asked(text))}{answer}", **options)["input_ids"],
            llama.tokenizer.eos_token_id,
        ]
        with torch.inference_mode():
            logits = llama.model(torch.tensor([whole])).logits[0].log_softmax(-1)
        said = sum(float(logits[i - 1, whole[i]]) for i in range(len(before), len(whole)))
        assert score == pytest.approx(said, abs=1e-4)


def test_first_tokens_tell_answers_apart_without_a_blank_before_them(llama: LoadedModel) -> None:
    raw = {"task": {"name": "sentiment", "language": "zh"}, "train": {"objective": "candidates"}}
    config = load(raw)
    found = first_tokens(config, Classification(config.task), llama)  # type: ignore[arg-type]
    assert found is not None
    assert len(set(found)) == 3
    prefixed = load(raw | {"task": raw["task"] | {"answers": {"negative": "正面人"}}})
    with pytest.raises(ModelError, match="'正面人' and '正面' both begin with '"):
        first_tokens(prefixed, Classification(prefixed.task), llama)  # type: ignore[arg-type]
