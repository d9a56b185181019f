"""The first of the passwords that guessers try, and longer ones of the same lists.

Facts from the frequency list of `zxcvbn` 4.5.0 for Python: its first 1,000 passwords that are
letters alone, and all that have 15 characters or more and are not digits alone. zxcvbn is

    Copyright (c) 2016 Daniel Wolf

under the MIT licence: "Permission is hereby granted, free of charge, to any person obtaining
a copy of this software and associated documentation files (the "Software"), to deal in the
Software without restriction, including without limitation the rights to use, copy, modify,
merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions: The
above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF
ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE
USE OR OTHER DEALINGS IN THE SOFTWARE."
"""

__all__ = ["COMMON", "LONG"]

COMMON = """
password qwerty dragon baseball football monkey letmein shadow master mustang qwertyuiop pussy
superman fuckyou qazwsx jordan killer hunter harley zxcvbnm asdfgh buster batman soccer tigger
charlie sunshine iloveyou fuckme ranger hockey computer starwars asshole pepper klaster zxcvbn
freedom princess maggie pass ginger fuck love cheese summer chelsea dallas biteme matrix yankees
corvette austin access thunder merlin secret diamond hello hammer fucker silver gfhjkm internet
samantha golfer scooter test orange cookie maverick sparky phoenix mickey bigdog snoopy guitar
whatever chicken camaro mercedes peanut ferrari falcon cowboy welcome sexy samsung steelers smokey
dakota arsenal boomer eagles tigers marina nascar booboo gateway yellow porsche monster spider
diablo hannah bulldog junior london purple compaq lakers iceman hardcore cowboys money banana
boston tennis coffee scooby nikita yamaha mother barney brandy chester fuckoff oliver player
forever rangers midnight chicago bigdaddy redsox angel badboy fender jasper slayer rabbit natasha
marine bigdick wizard marlboro raiders prince casper fishing flower jasmine iwantu panties adidas
winter winner gandalf enter ghbdtn golden cocacola winston madison angels panther blowme sexsex
bigtits spanky bitch sophie asdfasdf horny toyota tiger dick canada blowjob muffin liverpoo apples
pokemon slipknot qazxsw scorpion qwaszx butter startrek rainbow asdfghjkl razz newyork redskins
gemini cameron qazwsxedc florida liverpool turtle sierra viking booger butthead doctor rocket
dolphins captain bandit jaguar packers pookie peaches asdf dolphin helpme blue theman maxwell
qwertyui shithead lovers maddog giants nirvana metallic hotdog rosebud mountain warrior stupid
elephant suckit success jackass alexis porn lucky scorpio samson azerty driver freddy sydney
gators dexter bubba creative voodoo golf trouble america nissan gunner garfield bullshit asdfghjk
fucking apollo eminem legend airborne bear beavis apple brooklyn godzilla skippy buddy qwert
kitten magic shelby beaver phantom asdasd xavier braves darkness copper platinum qweqwe tomcat
girls bigboy animal police online voyager lifehack fish sniper trinity blazer heaven lover
snowball playboy loveme bubbles hooters cricket willow donkey topgun nintendo saturn destiny
pakistan pumpkin digital sergey redwings explorer tits private runner therock guinness lasvegas
beatles fire cassie christin celtic andrey broncos babygirl eclipse fluffy cartman michigan
carolina testing alexande birdie pantera cherry vampire mexico dickhead buffalo genius montana
beer minecraft maximus flyers lovely stalker metallica doggie snickers speedy bronco paradise
yankee horses magnum dreams lacrosse goober enigma qwertyu scotty pimpin bollocks surfer cock
poohbear genesis star qweasdzxc racing hawaii viper poopoo einstein boobies bitches drowssap
simple badger alaska action jester drummer spitfire forest maryjane champion diesel svetlana
friday hotrod chevy westside security google badass tester shorty thumper hitman mozart boobs
reddog lizard ruslan eagle scarface buddha porno spirit stargate naruto mercury liberty semperfi
suzuki popcorn spooky marley scotland kitty cherokee vikings simpsons rascal qweasd hummer loveyou
patches russia jupiter penguin passion cumshot vfhbyf honda vladimir sandman passport raider
bastard infinity assman bulldogs fantasy sucker horney domino budlight disney ironman softball
brutus redrum bigred mnbvcxz fktrcfylh karina marines digger kawasaki cougar fireman oksana monday
cunt justice nigger super wildcats tinker logitech dancer swordfis avalon everton alexandr
motorola patriots hentai madonna ducati colorado connor juventus galore smooth freeuser warcraft
boogie titanic wolverin elizabet arizona valentin saints asdfg accord christ yfnfif stinky slut
spiderma naughty chopper extreme skyline poop zombie pearljam froggy awesome vision pirate fylhtq
dreamer bullet predator empire kirill panthers penis skipper nemesis peekaboo rolltide cardinal
psycho danger mookie wanker chevelle manutd goblue hobbes vegeta fyfcnfcbz picard windows loverboy
victory vfrcbv bambam serega turkey tweety galina hiphop rooster changeme berlin taurus suckme
polina electric avatar maksim raptor hendrix newport bigcock brazil spring madmax alpha britney
sublime darkside bigman wolfpack classic hercules ronaldo spiderman blizzard cheyenne cjkysirj
wombat pandora holiday wildcat devils horse alabama caesar bondage pussycat pickle shaggy leather
chronic admin airplane kodiak freepass billybob sunset katana phpbb chocolat snowman stingray
firebird wolves zeppelin detroit pontiac gundam panzer vagina outlaw redhead tarheels greenday
nastya hardon engineer hellfire serenity cobra fireball lickme darkstar flash strike beauty
pavilion bobafett dbrnjhbz bigmac bowling ytrewq natali pyramid rulez dodgers apache swimming
whynot teens trooper fuckit defender precious packard weasel popeye lucifer cancer icecream raven
swordfish presario viktor rockstar blonde wutang spike pimp atlanta airforce thailand casino
lennon mouse hacker bluebird hawkeye theone catfish sailor goldfish nfnmzyf tattoo pervert barbie
maxima nipples machine trucks wrangler rocks tornado lights cadillac bubble pegasus madman
longhorn browns target eatme microsoft dilbert christia baller lesbian shooter xfiles seattle
qazqaz cthutq amateur prelude corona freaky malibu assassin atlantis integra pussies iloveu
lonewolf dragons unicorn software bobcat stealth peewee openup srinivas zaqwsx valentina shotgun
trigger veronika bruins coyote babydoll joker dollar lestat hottie random butterfly wordpass
smiley sweety snake chipper woody samurai devildog gizmo maddie mistress flipper express hjvfirf
moose cessna piglet polaris teacher montreal cookies wolfgang scully fatboy wicked balls tickle
bunny dfvgbh foobar transam pepsi fetish basketba toshiba hotstuff sunday booty gambit impala
stephani hooker lancer knicks shamrock stinger redneck deftones squirt siemens blaster trucker
subaru renegade ibanez manson swinger reaper blondie mylove galaxy blahblah enterpri travel
indiana skeeter sugar ficken smoke bigone sweetpea fucked trfnthbyf marino escort smitty bigfoot
babes larisa trumpet spartan valera babylon asdfghj bigboobs stormy mister hamlet aardvark
butterfl marathon paladin cavalier manchester skater indigo hornet buckeyes indians karate hesoyam
toronto diamonds chiefs buckeye highland hotsex charger redman passwor maiden drpepper storm
pornstar garden pencil sherlock timber thuglife insane pizza jungle aragorn hamster triumph techno
lollol pioneer catdog fktrctq morpheus pascal hobbit wetpussy erotic consumer blabla justme stones
chrissy spartak goforit burger pitbull adgjmptw italia barcelona hunting colors kissme virgin
overlord pebbles sundance emerald doggy racecar irina element zipper alpine basket goddess poison
nipple sakura chichi huskers pussys ultimate blackie nicola rommel caserta omega geronimo trojan
philips nugget tarzan chicks aleksandr bassman trixie portugal anakin dodger bomber superfly
madness loser fatcat ybrbnf soldier warlock desire sexual babe seminole alejandr westham andrei
concrete weed ladybug naked christop trombone tintin bluesky rhbcnbyf qazxswedc onelove cdtnkfyf
whore vfvjxrf titans stallion truck hansolo smiles beagle panama kingkong flatron inferno mongoose
connect poiuyt snatch qawsed juice blessed rocker snakes turbo bluemoon finger jamaica mulder
beetle passat immortal plastic whiskey dietcoke suck spunky monitor cactus exigen planet ripper
teen spyder nolimit hollywoo sluts sticky trunks pickles
"""
"""One text and not a set: it is needed when a password is chosen, which is seldom."""

LONG = """
mailcreated5240 polniypizdec0211 1qaz2wsx3edc4rfv momsanaladventure hd764nw5d7e1vb1
qazwsxedcrfvtgb 23176djivanfros 123456789qwerty qwerty123456789 polniypizdec110211
q1w2e3r4t5y6u7i8 zqjphsyf6ctifgu lhbjkjubz2957704 1qazxsw23edcvfr4 nemvxyheqdd5oqxyxyzi
1234qwerasdfzxcv q1w2e3r4t5y6u7i8o9p0 passwordstandard 1234567890qwerty bpgjldsgjldthnf
1qa2ws3ed4rf5tg qwertyuiop12345 zxcvbnm123456789 qwertasdfgzxcvb
"""
