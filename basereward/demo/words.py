"""General English for the demo's tokenizer, so that text of other kinds does not fall into single bytes."""

from __future__ import annotations

GENERAL_TEXT = (
    "The people of the town walked to the market early in the morning and came home late in the evening.",
    "Could you please explain how this works, and why it is better than the other way?",
    "I would like to know more about this question before we make a decision together.",
    "She said that he had been there for a long time, but nobody could remember when it started.",
    "There is not enough information to answer this; please look at the image again.",
    "In the background we can see a house, a tree, a car, a dog, a table and some people.",
    "The answer is correct because the text in the picture says so.",
    "Here are three things that you should think about: time, money and health.",
    "First, open the file. Then, read every line and write down the number of words.",
    "However, it might also have been something different, which is what they were thinking.",
    "This should take about an hour or two, depending on the weather and on the number of cars on the road.",
    "What are you doing? We are going to the city to meet some friends and have dinner.",
    "No, I do not think so. Yes, that would be very good. Thank you, and have a nice day!",
    "A good response is helpful, honest and clear; a bad response is wrong, or long without need.",
    "Who wrote the book, where was it made, when did it come out, and how much does it cost?",
    "Between the mountains and the sea there are many small villages with old streets and gardens.",
    "The government and the company will work with the school to help young people find work.",
    "It has been known for years that water, air and light are what plants need to grow.",
    "For example, if you want to learn a new language, you can listen, speak, read and write each day.",
    "These were only some of the most important ideas; there may be others that we did not discuss.",
)
