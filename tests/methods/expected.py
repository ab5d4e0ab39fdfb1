"""Which parameters each method trains on the tiny models of two blocks: a regex for their names, and how many there are."""

_LINEAR = r".*\.((q|k|v|o|gate|up|down)_proj|(Self|EncDec)Attention\.[qkvo]|DenseReluDense\.w(i_0|i_1|o))"
_KEYS_VALUES_INNER = r".*\.((k|v|down)_proj|(Self|EncDec)Attention\.[kv]|DenseReluDense\.wo)"
_ATTENTION = r".*\.((self_attn)|(Self|EncDec)Attention)"
_BEHIND_FEED_FORWARD = r".*\.(down_proj|DenseReluDense\.wo)\.adapter\.\d\.(weight|bias)"
_LAST_BLOCK = r"((model\.layers|decoder\.block)\.1\.|model\.norm\.|decoder\.final_layer_norm\.).*"

TRAINS: dict[str, tuple[str, int, int]] = {
    "lora": (rf"{_LINEAR}\.lora_[AB]\.default\.weight", 28, 72),
    "dora": (rf"{_LINEAR}\.lora_([AB]|magnitude_vector)\.default\.weight", 42, 108),
    "adalora": (rf"{_LINEAR}\.lora_[ABE]\.default", 42, 108),
    "loha": (rf"{_LINEAR}\.hada_w[12]_[ab]\.default", 56, 144),
    "lokr": (rf"{_LINEAR}\.lokr_w[12]\.default", 28, 72),
    "vera": (rf"{_LINEAR}\.vera_lambda_[bd]\.default", 28, 72),
    "ia3": (rf"{_KEYS_VALUES_INNER}\.ia3_l\.default", 6, 16),
    "norms": (r".*norm\.ln_tuning_layers\.default\.weight", 13, 12),
    "prompt": (r"(model\.embed_tokens|shared)\.prompt\.vectors", 1, 1),
    "p-tuning": (r"(model\.embed_tokens|shared)\.prompt\.encoder\..*", 7, 7),
    "prefix": (rf"{_ATTENTION}\.prefix\.(inner|last)\..*", 7, 15),
    "p-tuning-v2": (rf"{_ATTENTION}\.prefix\.(keys|values)", 4, 12),
    "houlsby": (
        r".*\.(o_proj|down_proj|(Self|EncDec)Attention\.o|DenseReluDense\.wo)\.adapter\.\d\.(weight|bias)",
        16,
        40,
    ),
    "pfeiffer": (_BEHIND_FEED_FORWARD, 8, 16),
    "parallel": (_BEHIND_FEED_FORWARD, 8, 16),
    "bitfit": (rf"{_LINEAR}\.bias", 14, 36),
    "freeze": (_LAST_BLOCK, 14, 15),
    "full": (r"(model\.(layers|norm)\.|(en|de)coder\.(block|final_layer_norm)\.).*", 27, 50),
    "linear-probe": (r"lm_head\.probe\.(weight|bias)", 2, 2),
}
TRAINS |= dict.fromkeys(("rslora", "pissa", "lora-plus", "loftq"), TRAINS["lora"])
