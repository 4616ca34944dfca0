package status

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/herald-campaigns/herald/campaign"
)

func builtIn(tb testing.TB) *Words {
	tb.Helper()
	w, err := NewWords(WordList{})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func TestWholeMessagesAreWishes(t *testing.T) {
	t.Parallel()
	words := builtIn(t)
	for wish, texts := range map[campaign.Wish][]string{
		campaign.WishOut: {
			"STOP", "stop", " Stop. ", "*STOP*", "_stop_", "STOP!!!", "s.t.o.p", "S T O P", "ＳＴＯＰ", "stop 🙏", "🛑 STOP 🛑", "ｓｔｏｐ！", "\u200estop\u200f", "\"stop\"",
			"stop️", "STÓP", "StopAll", "stop all", "unsubscribe", "Cancel", "END", "quit", "revoke", "opt-out", "Opt Out", "OPTOUT", "remove", "remove me",
			"arret", "Arrêt", "ARRÊT.", "se désabonner", "Désinscription",
			"aufhören", "AUFHOEREN", "kündigen", "baja", "no más mensajes", "sair", "cancelar", "disiscrivimi", "berhenti", "iptal", "İPTAL", "ıptal", "durdur",
			"बंद", "बंद करो।", "बंद  करें!", "स्टॉप", "রবন্ধ"[len("র"):], "বন্ধ করুন", "நிறுத்து", "நிறுத்தவும்.", "ఆపండి", "थांबवा", "બંધ કરો", "ਬੰਦ ਕਰੋ", "നിർത്തുക",
			"توقف", "إيقاف", "ايقاف", "الغاء", "إِلْغَاء", "تـوقف", "بند کریں", "بند كريں", "لغو",
			"стоп", "Отписаться", "хватит!", "ΣΤΟΠ", "στοπ", "停止", "退订。", "取消订阅", "退 订", "ストップ", "ｽﾄｯﾌﾟ", "配信停止", "수신 거부", "หยุด", "הסר",
		},
		campaign.WishIn: {
			"START", "start!", "Unstop", "subscribe", "शुरू करें", "शुरू", "iniciar", "começar", "COMECAR", "ابدأ", "ابدا", "شروع کریں", "শুরু করুন", "தொடங்கு", "старт", "开始", "시작",
		},
		campaign.WishNear: {
			"please stop sending", "stop!!! pls", "Stop it now", "can you stop this please", "don't stop", "unsubscribe me please", "unsubscri8e", "UNSUBSCRBIE", "unsuscribe", "cancell",
			"I quit", "remove my number", "🛑", "⛔⛔", "कृपया बंद करो", "bitte abmelden", "por favor cancelar", "пожалуйста отписаться", "请停止发送", "配信停止してください", "من فضلك توقف", "revokee", "stops", "para",
		},
		campaign.WishNone: {
			"", "   ", "yes", "no", "👍", "?!", "Stopped by the shop yesterday and it was closed again", "What time does the event end on Saturday evening?", "nonstop", "weekend", "friend",
			"ok thanks", "नहीं", "हाँ", "نعم", "نعم بالتأكيد", "да", "нет", "好的", "はい", "Đúng", "dung", "Huy", "hope so", strings.Repeat("stop ", 400),
		},
	} {
		for _, text := range texts {
			if got := words.Of(text); got != wish {
				t.Errorf("Of(%q) = %q, want %q (folded %q)", text, got, wish, fold(text))
			}
		}
	}
}

// TestEveryWordWishesWhatItSays: no word is folded into nothing, or into a word
// of another language that asks for the contrary.
func TestEveryWordWishesWhatItSays(t *testing.T) {
	t.Parallel()
	words := builtIn(t)
	codes := map[string]bool{}
	for _, l := range tongues() {
		if codes[l.code] || len(l.out) == 0 || len(l.in) == 0 {
			t.Errorf("%s is there twice, or lacks words", l.code)
		}
		codes[l.code] = true
		for wish, list := range map[campaign.Wish][]string{campaign.WishOut: l.out, campaign.WishIn: l.in} {
			for _, word := range list {
				for _, text := range []string{word, strings.ToLower(word), strings.ToUpper(word), "  " + word + "!! 🙏🏽"} {
					if got := words.Of(text); got != wish {
						t.Errorf("%s: Of(%q) = %q, want %q", l.code, text, got, wish)
					}
				}
			}
		}
	}
}

func TestWordsCanBeChanged(t *testing.T) {
	t.Parallel()
	words, err := NewWords(WordList{Out: []string{"No gracias", "basta"}, In: []string{"Weiter"}, Remove: []string{"end", "Basta", "CANCEL"}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]campaign.Wish{
		"no, gracias!": campaign.WishOut, "NOGRACIAS": campaign.WishOut, "basta": campaign.WishOut, "weiter": campaign.WishIn, "End": campaign.WishNone, "the end": campaign.WishNone,
		"cancel": campaign.WishNone, "stop": campaign.WishOut, "ay no gracias": campaign.WishNear,
	} {
		if got := words.Of(text); got != want {
			t.Errorf("Of(%q) = %q, want %q", text, got, want)
		}
	}
	for _, bad := range []WordList{{Out: []string{"!!"}}, {In: []string{""}}, {Out: []string{"go"}, In: []string{"GO"}}} {
		if _, err := NewWords(bad); campaign.CodeOf(err) != campaign.CodeInvalid || len(campaign.HintsOf(err)) == 0 {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func FuzzFold(f *testing.F) {
	for _, seed := range []string{"STOP", "Arrêt!", "بند کریں", "बंद करो", "ｽﾄｯﾌﾟ", "s.t.o.p", "1️⃣", "\xff\xfe", "İ", "ǰ", "ﬃ", "😀‍🔥", "Ꮟ"} {
		f.Add(seed)
	}
	words := builtIn(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 {
			return // no wish is that long, and Of looks at none
		}
		folded := fold(text)
		if !utf8.ValidString(folded) || strings.ContainsAny(folded, " \t\n.!") {
			t.Errorf("fold(%q) = %q", text, folded)
		}
		if again := fold(folded); again != folded {
			t.Errorf("fold(%q) = %q, and folded again %q", text, folded, again)
		}
		for _, same := range []string{" " + text + "!", text + " 🙏"} {
			if got := fold(same); got != folded {
				t.Errorf("fold(%q) = %q, want %q", same, got, folded)
			}
		}
		if folded == "" && (words.Of(text) == campaign.WishOut || words.Of(text) == campaign.WishIn) {
			t.Errorf("Of(%q) = %q", text, words.Of(text))
		}
	})
}
