"""A kind of question and a random state -> one comparison row: messages, images, responses, ranks.

The rule that makes this a test of looking: given the question and the set of answers, every order of quality that can
occur is as likely as its reverse. The right answer is drawn from the answers shown, after they are chosen; wording and
order are drawn without regard to which is right. So whoever does not see the picture is right half the time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from basereward.demo.pictures import COLOURS, NUMBERS, SHAPES, one_shape, png_of_split, several_dots

Row = dict[str, Any]

COLOUR_QUESTIONS = ("What colour is the shape?", "Which colour do you see?", "Tell me the colour of the shape.")
COLOUR_ANSWERS = ("It is {}.", "The shape is {}.", "The colour is {}.")
SHAPE_QUESTIONS = ("What shape is it?", "Which shape do you see?", "Tell me what shape this is.")
SHAPE_ANSWERS = ("It is a {}.", "The picture shows a {}.", "I see a {}.")
COUNT_QUESTIONS = ("How many dots are there?", "What is the number of dots?", "Count the dots.")
COUNT_ANSWERS = ("There are {}.", "I count {}.", "The number is {}.")
WHERE_QUESTIONS = ("What colour is the shape in the {} picture?", "Tell me the colour of the {} picture's shape.")
DESCRIBE_QUESTIONS = ("Describe the picture.", "What does the picture show?", "What do you see?")
DESCRIBE_ANSWERS = ("It is a {} {}.", "The picture shows a {} {}.", "I see a {} {}.")
PLACES = ("first", "second")

OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("up", "down"), ("left", "right"), ("day", "night"), ("fast", "slow"),
    ("open", "closed"), ("early", "late"), ("wet", "dry"), ("old", "young"), ("happy", "sad"), ("hard", "soft"),
)  # fmt: skip
SAY_QUESTIONS = ("Say the word {}.", "Please repeat this word: {}.", "Write the word {}.")
OPPOSITE_QUESTIONS = ("What is the opposite of {}?", "Which word is the opposite of {}?")
WORD_ANSWERS = ("The word is {}.", "It is {}.")


def colour(rng: random.Random, split: str) -> Row:
    """Two colours; the shape has one of them."""
    answers = rng.sample(list(COLOURS), 2)
    return _row(rng, split, COLOUR_QUESTIONS, COLOUR_ANSWERS, answers, [0, 1], [one_shape(answers[0], _any(rng, SHAPES))])


def shape(rng: random.Random, split: str) -> Row:
    """Two shapes; the picture shows one of them."""
    answers = rng.sample(SHAPES, 2)
    return _row(rng, split, SHAPE_QUESTIONS, SHAPE_ANSWERS, answers, [0, 1], [one_shape(_any(rng, COLOURS), answers[0])])


def count(rng: random.Random, split: str) -> Row:
    """Two numbers; the picture has one of them as dots."""
    answers = rng.sample(range(len(NUMBERS)), 2)
    drawing = several_dots(answers[0] + 1, _any(rng, COLOURS))
    return _row(rng, split, COUNT_QUESTIONS, COUNT_ANSWERS, [NUMBERS[i] for i in answers], [0, 1], [drawing])


def two_pictures(rng: random.Random, split: str) -> Row:
    """Two pictures of two colours; the question names one picture, the wrong answer is right for the other."""
    answers, place = rng.sample(list(COLOURS), 2), rng.randrange(2)
    shown = answers if place == 0 else answers[::-1]
    drawings = [one_shape(name, _any(rng, SHAPES)) for name in shown]
    questions = tuple(question.format(PLACES[place]) for question in WHERE_QUESTIONS)
    return _row(rng, split, questions, COLOUR_ANSWERS, answers, [0, 1], drawings)


def ranking(rng: random.Random, split: str) -> Row:
    """Three or four descriptions by colour and shape: both right, one right, none right.

    Four answers are all pairings of two colours and two shapes, and any of them may be the right one. Of three, the
    one in the middle is half right whichever of the two others is shown.
    """
    right, wrong = zip(rng.sample(list(COLOURS), 2), rng.sample(SHAPES, 2), strict=True)
    half = [(right[0], wrong[1]), (wrong[0], right[1])]
    if rng.random() < 0.5:
        answers, ranks = [right, *half, wrong], [0, 1, 1, 2]
    else:
        answers, ranks = [right, rng.choice(half), wrong], [0, 1, 2]
    return _row(rng, split, DESCRIBE_QUESTIONS, DESCRIBE_ANSWERS, answers, ranks, [one_shape(*right)])


def text(rng: random.Random, split: str) -> Row:
    """No picture: a word to be repeated, or the opposite of a word."""
    pair, other = rng.sample(OPPOSITES, 2)
    side = rng.randrange(2)
    word = pair[side]
    if rng.random() < 0.5:
        questions, answers = SAY_QUESTIONS, [word, rng.choice(other)]
    else:
        questions, answers = OPPOSITE_QUESTIONS, [pair[1 - side], rng.choice(other)]
    return _row(rng, split, tuple(q.format(word) for q in questions), WORD_ANSWERS, answers, [0, 1], [])


KINDS: dict[str, Callable[[random.Random, str], Row]] = {
    "colour": colour,
    "shape": shape,
    "count": count,
    "two_pictures": two_pictures,
    "ranking": ranking,
    "text": text,
}
IMAGE_KINDS = ("colour", "shape", "count", "two_pictures", "ranking")


def _row(rng, split, questions, wordings, answers, ranks, drawings) -> Row:
    """The row of these answers, each in a wording of its own, in an order that says nothing about their ranks."""
    order = rng.sample(range(len(answers)), len(answers))
    parts = [answer if isinstance(answer, tuple) else (answer,) for answer in answers]
    content: list[dict] = [{"type": "image"} for _ in drawings]
    return {
        "messages": [{"role": "user", "content": [*content, {"type": "text", "text": rng.choice(questions)}]}],
        "images": [png_of_split(drawing, rng, split=split) for drawing in drawings],
        "responses": [rng.choice(wordings).format(*parts[i]) for i in order],
        "ranks": [ranks[i] for i in order],
    }


def _any(rng: random.Random, names) -> str:
    return rng.choice(list(names))
