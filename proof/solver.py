#!/usr/bin/env python3
"""The cvc5 of PyPI as the interactive solver that a command-line cvc5 is: SMT-LIB on stdin, answers on stdout.

Only what the symbolic compiler sends: options, declarations, assertions, check-sat, get-model, reset. `reset` makes a
new solver, because the binding's own keeps its symbols.
"""
import sys

import cvc5


class Session:
    def __init__(self):
        self.solver = cvc5.Solver()
        self.parser = cvc5.InputParser(self.solver)

    def run(self, text):
        self.parser.setIncrementalStringInput(cvc5.InputLanguage.SMT_LIB_2_6, "stdin")
        self.parser.appendIncrementalStringInput(text)
        symbols = self.parser.getSymbolManager()
        while True:
            command = self.parser.nextCommand()
            if command.isNull():
                return
            sys.stdout.write(command.invoke(self.solver, symbols))
            sys.stdout.flush()


def main():
    session, text, depth = Session(), "", 0
    for line in sys.stdin:
        text += line
        # Commands end where their parentheses do; strings and quoted symbols may hold some.
        quote = None
        depth = 0
        for character in text:
            if quote:
                quote = None if character == quote else quote
            elif character in '"|':
                quote = character
            else:
                depth += (character == "(") - (character == ")")
        if depth or quote:
            continue
        if text.strip() == "(reset)":
            session = Session()
        elif text.strip():
            session.run(text)
        text = ""


main()
