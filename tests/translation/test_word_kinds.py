import pytest

from a3.translation.pig_latin import KINDS, kind, moved_letters, pig_latin, small_words


@pytest.mark.parametrize(
    ("word", "moved", "of_kind"),
    [
        ("team", "t", "one consonant"),
        ("my", "m", "one consonant"),
        ("string", "str", "cluster"),
        ("quick", "qu", "qu"),
        ("squid", "squ", "qu"),
        ("impress", "", "vowel"),
        ("queue", "qu", "qu"),
        ("you", "", "vowel"),
        ("hmm", "", "vowel"),  # moving all of it changes nothing
    ],
)
def test_examples(word, moved, of_kind):
    assert moved_letters(word) == moved
    assert kind(word) == of_kind


def test_the_moved_letters_make_the_translation():
    single = [word for word in small_words() if "-" not in word]
    for word in single:
        moved = moved_letters(word)
        ending = "way" if word[0] in "aeiou" else "ay"
        assert word.startswith(moved)
        assert word[len(moved) :] + moved + ending == pig_latin(word)
    assert {kind(word) for word in small_words()} == set(KINDS)


def test_each_part_of_a_hyphenated_word_has_letters_of_its_own():
    assert kind("well-known") == "hyphen"
    with pytest.raises(ValueError, match="expected a word without hyphens, got 'well-known'"):
        moved_letters("well-known")
