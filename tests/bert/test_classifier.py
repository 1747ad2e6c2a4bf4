import json

import pytest
import torch
from tiny_bert import save_tiny_bert
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaModel,
)

from a3.bert.classifier import (
    BertForSentenceClassification,
    RobertaForSentenceClassification,
    load_classifier,
)
from a3.bert.verbal_arithmetic import LABELS

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
    "num_labels": 3,
}
INPUTS = {
    "input_ids": torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
}


@pytest.fixture
def folder(tmp_path):
    """The folder of a BERT without a classifier."""
    save_tiny_bert(tmp_path, **SMALL)
    return tmp_path


def test_logits_equal_those_of_transformers_with_the_same_weights():
    torch.manual_seed(0)
    theirs = BertForSequenceClassification(BertConfig(**SMALL)).eval()
    ours = BertForSentenceClassification(BertConfig(**SMALL)).eval()
    weights = {name.removeprefix("bert."): w for name, w in theirs.state_dict().items()}
    ours.load_state_dict(weights)
    assert torch.equal(ours(**INPUTS).logits, theirs(**INPUTS).logits)
    labels = torch.tensor([0, 2])
    assert torch.equal(ours(**INPUTS, labels=labels).loss, theirs(**INPUTS, labels=labels).loss)


def test_logits_of_the_sibling_equal_those_of_transformers():
    torch.manual_seed(0)
    config = RobertaConfig(**SMALL, pad_token_id=0)
    theirs = RobertaForSequenceClassification(config).eval()
    ours = RobertaForSentenceClassification(config).eval()
    names = {"classifier.dense": "pooler.dense", "classifier.out_proj": "classifier"}
    weights = {}
    for name, weight in theirs.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)
        weights[name.removeprefix("roberta.")] = weight
    ours.load_state_dict(weights)
    assert torch.allclose(ours(**INPUTS).logits, theirs(**INPUTS).logits, atol=1e-6)


def test_padding_changes_nothing():
    torch.manual_seed(0)
    model = BertForSentenceClassification(BertConfig(**SMALL)).eval()
    alone = model(torch.tensor([[2, 8, 3]])).logits
    assert torch.allclose(model(**INPUTS).logits[1:], alone, atol=1e-6)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    torch.manual_seed(0)
    model = BertForSentenceClassification(BertConfig(**SMALL | {"num_labels": 5})).eval()
    model.save_pretrained(tmp_path)
    again = BertForSentenceClassification.from_pretrained(tmp_path).eval()
    assert again.config.num_labels == 5
    assert torch.equal(again(**INPUTS).logits, model(**INPUTS).logits)
    assert (tmp_path / "model.safetensors").is_file()


def test_the_folder_of_transformers_classifier_loads(tmp_path):
    torch.manual_seed(0)
    theirs = BertForSequenceClassification(BertConfig(**SMALL)).eval()
    theirs.save_pretrained(tmp_path)
    ours = BertForSentenceClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(ours(**INPUTS).logits, theirs(**INPUTS).logits)


def test_the_encoder_is_the_pretrained_one_and_the_classifier_is_drawn(folder):
    model, tokenizer = load_classifier(folder, seed=1)
    assert isinstance(model, BertForSentenceClassification) and not model.training
    encoder = BertModel.from_pretrained(folder)
    for name, weight in encoder.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name
    assert model.config.id2label == dict(enumerate(LABELS))
    assert tokenizer("four minus ten")["input_ids"] == [2, 11, 6, 17, 3]


def test_the_seed_draws_the_classifier_and_leaves_the_global_state(folder):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (load_classifier(folder, seed=s)[0].classifier.weight for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_pretraining_no_weight_is_pretrained(folder):
    trained, _ = load_classifier(folder)
    drawn, _ = load_classifier(folder, seed=3, pretrained=False)
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(trained.state_dict()[name], drawn.state_dict()[name])


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a model's folder: expected one with a config"):
        load_classifier(tmp_path)


def test_an_architecture_that_does_not_fit_is_refused(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ValueError, match=r"type 'gpt2'; expected one of \['bert', 'roberta'\]"):
        load_classifier(folder)


def test_a_roberta_loaded_as_a_bert_is_refused_instead_of_drawn_anew(folder):
    """What BertModel does silently with BERTweet: every weight of the encoder is random."""
    config = json.loads((folder / "config.json").read_text())
    torch.manual_seed(0)
    tweets = RobertaForSequenceClassification(RobertaConfig(**SMALL))
    tweets.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))  # and says that it is a BERT
    with pytest.raises(ValueError, match="lacks .* weights of the encoder, such as embeddings"):
        load_classifier(folder)


def test_a_roberta_gets_the_sibling(folder):
    RobertaModel(RobertaConfig(**SMALL, pad_token_id=0)).save_pretrained(folder)
    model, _ = load_classifier(folder)
    assert isinstance(model, RobertaForSentenceClassification)
    assert model(**INPUTS).logits.shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"intermediate_size": 32}, r"other shapes than its config .*: \(24,?.*instead of \(32"),
        ({"num_hidden_layers": 1}, "beyond the 1 layers of its config, such as encoder.layer.1"),
        ({"num_hidden_layers": 3}, "lacks 16 weights of the encoder, such as encoder.layer.2"),
    ],
    ids=["width", "layers beyond", "layers missing"],
)
def test_weights_that_do_not_fit_their_config_are_refused_in_one_line(folder, change, reason):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=reason) as raised:
        load_classifier(folder)
    assert "\n" not in str(raised.value)


def test_a_classifier_of_another_number_of_labels_is_refused(folder):
    model = BertForSentenceClassification(BertConfig(**SMALL | {"num_labels": 5}))
    model.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"3 labels ask for, such as classifier.bias: \(5,\)"):
        load_classifier(folder)
    assert load_classifier(folder, num_labels=5)[0].classifier.out_features == 5


@pytest.mark.parametrize("kind", [BertForSentenceClassification, RobertaForSentenceClassification])
def test_what_is_asked_of_the_encoder_is_handed_back(kind):
    config = BertConfig if kind is BertForSentenceClassification else RobertaConfig
    made = config(**SMALL, pad_token_id=0, attn_implementation="eager")
    model = kind(made).eval()
    found = model(**INPUTS, output_attentions=True, output_hidden_states=True)
    assert [a.shape for a in found.attentions] == 2 * [(2, 2, 4, 4)]
    assert [h.shape for h in found.hidden_states] == 3 * [(2, 4, 16)]
    assert torch.equal(found.logits, model(**INPUTS).logits)
    assert model(**INPUTS).attentions is None
